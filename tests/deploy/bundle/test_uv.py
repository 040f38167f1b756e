import sys
from pathlib import Path

import pytest

from kit.deploy.bundle import uv
from kit.model.errors import BuildError


def program(folder: Path, text: str) -> list[str]:
    file = folder / "uv.py"
    file.write_text(f"import sys\n{text}\n")
    return [sys.executable, str(file)]


def test_without_uv_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda _: None)

    with pytest.raises(BuildError, match=r"netlify-workflow-kit\[dev\]") as caught:
        uv.command()

    assert caught.value.code == "BUILD_NO_UV"


def test_the_one_beside_the_kit_goes_before_one_on_the_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: "/somewhere/uv")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    assert uv.command() == [sys.executable, "-m", "uv"]

    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert uv.command() == ["/somewhere/uv"]


def test_what_it_said_is_the_error_without_its_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "print('Using CPython 3.11', 'error: no', '  because', sep='\\n', file=sys.stderr)"
    monkeypatch.setattr(uv, "command", lambda: program(tmp_path, f"{text}; sys.exit(2)"))

    with pytest.raises(uv.UvError) as caught:
        uv.run(["pip"], cwd=tmp_path, environ={})

    assert str(caught.value) == "error: no\n  because"


def test_it_is_called_without_what_only_a_person_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = "sys.exit(sys.argv[1:] != ['pip', '--no-progress', '--color', 'never'])"
    monkeypatch.setattr(uv, "command", lambda: program(tmp_path, check))

    uv.run(["pip"], cwd=tmp_path, environ={})


def test_pips_indexes_are_told_to_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = (
        "global.cert='/x'\n"
        "global.extra-index-url='file:///a file:///b'\n"
        "global.index-url='file:///main'\n"
        ":env:.find-links='/wheels'\n"
        "install.find-links='/w1\\n/w2'\n"
    )
    done = type("StageResult", (), {"stdout": listing, "returncode": 0})
    monkeypatch.setattr("subprocess.run", lambda *_, **__: done)

    assert uv.indexes({}) == [
        *("--index", "file:///a", "--index", "file:///b"),
        *("--default-index", "file:///main"),
        *("--find-links", "/w1", "--find-links", "/w2"),
        *("--index-strategy", "unsafe-best-match"),
    ]


@pytest.mark.parametrize(("listing", "status"), [("global.cert='/x'\n", 0), ("", 1)])
def test_where_pip_has_none_uv_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch, listing: str, status: int
) -> None:
    done = type("StageResult", (), {"stdout": listing, "returncode": status})
    monkeypatch.setattr("subprocess.run", lambda *_, **__: done)

    assert uv.indexes({}) == []


def test_where_uv_has_its_own_pips_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.run", None)

    assert uv.indexes({"UV_INDEX": "file:///mine"}) == []
