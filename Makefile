# Everything a fresh clone needs is made on demand: `make demo` and `make test`
# each work as the first command ever run here.
PYTHON ?= python3
BIN := .venv/bin
# Where images set it, each of the thousand processes that the tests start would compile all of the
# kit, of pytest's rewritten modules and of what uv has installed anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo quick test test-real test-core test-around test-3.13 test-3.13-core test-3.13-around test-javascript test-coverage shuffle check bench soak pictures fix schema install clean
.DEFAULT_GOAL := test

.venv/.ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'
	$(call INSTALL,$(BIN)/python,--compile-bytecode)
	@touch $@

# What pip has been told of indexes, uv is told as well: it takes a tenth of pip's processor time. What it
# cannot have is left to pip. Bytecode is made where many processes would make it, or may not write any.
INDEXES = $(BIN)/python -c 'import os; from kit.deploy.bundle.uv import indexes; print(*indexes(os.environ))'
define INSTALL
$(BIN)/uv pip install --quiet --python $(1) $(2) $$($(INDEXES)) --editable '.[dev,test]' || \
	$(BIN)/python -m pip --python $(1) install --quiet --disable-pip-version-check --editable '.[dev,test]'
@$(1) -m compileall -q kit
endef

node_modules/.ready: package.json package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

# A third of all JavaScript files is one type checker, which no test needs.
TYPING := tests/typing/node_modules
$(TYPING)/.ready: tests/typing/package.json tests/typing/package-lock.json
	npm ci --no-audit --no-fund --prefix tests/typing
	@touch $@

install: .venv/.ready

demo: .venv/.ready ## run the seed document's example, durably, sleeps skipped
	$(BIN)/kit run publish-draft --data '{"title": "Ship weekly digest"}' --fast

quick: .venv/.ready ## the fast part of the tests: all that needs no engine, build, boot or kill
	$(IN_MEMORY) $(BIN)/python -m pytest $(FAST) --numprocesses=2 --dist=loadfile

test: ## every test, with branch coverage of the fast part (gate: 95 %)
	@rm -f .coverage .coverage.*
	@$(MAKE) --no-print-directory --jobs=7 --keep-going $(SYNC) $(PARTS)

NEWER := 3.13
# The parts share nothing but the machine, and begin all at once: so they end nearly at once, too, and
# leave no core idle.
PARTS := test-real test-around test-$(NEWER)-around test-core test-$(NEWER)-core test-javascript test-coverage
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
FAST := --ignore=tests/real
# Nothing in the tests is about a power cut: their files lie in memory, where there is some room.
in_memory = $(shell df -k /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > $(1) { print "TMPDIR=/dev/shm" }')
IN_MEMORY := $(call in_memory,1000000)
# Builds take much of it, and start what they have built, which may be forbidden there.
MUCH_IN_MEMORY := $(shell mount | grep -q ' /dev/shm .*noexec' || echo "$(call in_memory,6000000)")

# What is tested here waits for Node, Chromium, timers and processes more than it computes: hence
# more at a time than there are cores. Tests of one file share what is costly to make, so they stay
# together. All this tells coverage nothing that the fast part does not.
test-real: .venv/.ready node_modules/.ready
	$(MUCH_IN_MEMORY) $(BIN)/python -m pytest tests/real --numprocesses=3 --dist=loadfile --no-loadscope-reorder

# The fast part in two processes, each of which coverage slows down: what executes runs, and the rest.
# They give way a little to test-real, which waits for much and would be the last to end.
BESIDE := nice -n 2
CORE := execution engine store model testing
test-core: .venv/.ready
	$(IN_MEMORY) $(BESIDE) $(BIN)/coverage run -m pytest $(CORE:%=tests/%)

test-around: .venv/.ready
	$(IN_MEMORY) $(BESIDE) $(BIN)/coverage run -m pytest tests $(FAST) $(CORE:%=--ignore=tests/%)

# As soon as both have ended, beside what goes on.
test-coverage: test-core test-around
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-javascript: .venv/.ready node_modules/.ready
	PYTHON=$(CURDIR)/$(BIN)/python $(BESIDE) node --test tests/deploy/function/js/*.test.mjs

# The fast part on a newer Python as well, where there is an archive of one beside the repository.
KIT_SHARED ?= ../shared
ARCHIVE := $(firstword $(wildcard $(KIT_SHARED)/cpython/cpython-$(NEWER).*$(shell uname -m)*-linux-*.tar.gz))

ON_NEWER = $(if $(ARCHIVE),$(IN_MEMORY) $(BESIDE) .venv$(NEWER)/bin/python -m pytest $(1) --hypothesis-profile=again,@echo "skipped: the tests on Python $(NEWER); there is no archive of it in $(KIT_SHARED)/cpython")
test-$(NEWER): test-$(NEWER)-core test-$(NEWER)-around

test-$(NEWER)-core: $(if $(ARCHIVE),.venv$(NEWER)/.ready)
	$(call ON_NEWER,$(CORE:%=tests/%))

test-$(NEWER)-around: $(if $(ARCHIVE),.venv$(NEWER)/.ready)
	$(call ON_NEWER,tests $(FAST) $(CORE:%=--ignore=tests/%))

.venv$(NEWER)/.ready: pyproject.toml .venv/.ready
	rm -rf .venv$(NEWER)
	mkdir -p .venv$(NEWER)/base
	tar -xzf $(ARCHIVE) -C .venv$(NEWER)/base --strip-components=1
	.venv$(NEWER)/base/bin/python3 -m venv --without-pip .venv$(NEWER)
	$(call INSTALL,.venv$(NEWER)/bin/python)
	@touch $@

N ?= 20
shuffle: .venv/.ready ## the fast part in N random orders, on busy cores
	$(IN_MEMORY) $(BIN)/python tests/real/shuffle.py $(N)

check: .venv/.ready $(TYPING)/.ready ## format, lint, types, import contract, schema drift
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typing
	$(TYPING)/.bin/pyright --pythonpath $(BIN)/python tests/typing
	$(BIN)/lint-imports
	for name in config event run runs; do $(BIN)/kit schema $$name --check || exit 1; done

fix: .venv/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: .venv/.ready
	$(BIN)/kit schema --write

bench: .venv/.ready node_modules/.ready
	$(BIN)/python benchmarks/imports.py
	$(BIN)/python benchmarks/engine.py --seconds 2
	$(BIN)/python benchmarks/publish.py
	$(BIN)/python benchmarks/functions.py --boots 7

soak: .venv/.ready ## kill processes that share a run file, 2,000 times
	$(BIN)/python benchmarks/soak.py --kills 2000

pictures: .venv/.ready node_modules/.ready ## take the pictures in the documentation anew
	KIT_PICTURES=docs/images $(BIN)/python -m pytest tests/real/browser/test_pictures.py

clean:
	rm -rf .venv* node_modules $(TYPING) .kit .coverage* .hypothesis .mypy_cache .ruff_cache .pytest_cache
