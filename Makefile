# Everything a fresh clone needs is made on demand: `make demo` and `make test`
# each work as the first command ever run here.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo quick test check bench pictures fix schema install clean
.DEFAULT_GOAL := test

.venv/.ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,test]'
	@touch $@
	@echo "kit is installed as $(BIN)/kit; to have it as kit: . $(BIN)/activate" >&2

node_modules/.ready: package.json package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

install: .venv/.ready

demo: .venv/.ready ## run the seed document's example, durably, sleeps skipped
	$(BIN)/kit run publish-draft --data '{"title": "Ship weekly digest"}' --fast

quick: .venv/.ready ## the fast part: everything that needs no engine, build or boot
	$(BIN)/python -m pytest --ignore=tests/real

test: .venv/.ready node_modules/.ready ## every test, with branch coverage (gate: 95 %)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	node --test tests/deploy/function/js/*.test.mjs

check: .venv/.ready node_modules/.ready ## format, lint, types, import contract, schema drift
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typing
	node_modules/.bin/pyright --pythonpath $(BIN)/python tests/typing
	$(BIN)/lint-imports
	$(BIN)/kit schema --check

fix: .venv/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: .venv/.ready
	$(BIN)/kit schema --write

pictures: .venv/.ready ## take the pictures in the docs anew
	KIT_PICTURES=docs/images $(BIN)/python -m pytest tests/real/browser/test_pictures.py

bench: .venv/.ready node_modules/.ready
	$(BIN)/python benchmarks/imports.py
	$(BIN)/python benchmarks/engine.py --seconds 2
	$(BIN)/python benchmarks/publish.py
	$(BIN)/python benchmarks/functions.py --boots 7

clean:
	rm -rf .venv node_modules .kit .coverage* .hypothesis .mypy_cache .ruff_cache .pytest_cache
