from pathlib import Path
from typing import Any

import pytest

from kit.deploy.bundle import packages, uv
from kit.deploy.bundle.packages import (
    brought_by_kit,
    install,
    kit_digest,
    kit_files,
    read_themselves,
)
from kit.deploy.bundle.requirements import Requirements
from kit.deploy.bundle.tree import files_in
from kit.model.errors import BuildError

NO_WHEEL = (
    "error: No solution found\n  cause: Because docopt has no usable wheels\n"
    "hint: Wheels are required for `docopt`"
)


def distribution(target: Path, name: str, needs: tuple[str, ...] = (), *files: str) -> None:
    folder = target / f"{name}-1.0.dist-info"
    folder.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0"]
    (folder / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {n}" for n in needs)]))
    records = [*files, f"{folder.name}/METADATA"]
    (folder / "RECORD").write_text("\n".join(f"{file},sha256=x,1" for file in records))
    for file in files:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        (target / file).write_text("")


class Uv:
    """Installs one package, or fails as often as it is told to."""

    def __init__(self, failures: int = 0, said: str = "") -> None:
        self.calls: list[list[str]] = []
        self.failures = failures
        self.said = said

    def __call__(self, arguments: list[str], **_: Any) -> None:
        self.calls.append(arguments)
        target = Path(arguments[arguments.index("--target") + 1])
        if len(self.calls) <= self.failures:
            (target / "half").write_text("")
            raise uv.UvError(self.said)
        distribution(
            target, "thing", (), "thing/__init__.py", "thing/py.typed", "bin/thing", "one.py"
        )


@pytest.fixture(name="fake_uv")
def _fake_uv(monkeypatch: pytest.MonkeyPatch) -> Uv:
    fake = Uv()
    monkeypatch.setattr(uv, "run", fake)
    monkeypatch.setattr(uv, "indexes", lambda _: [])
    return fake


def installed(tmp_path: Path, file: Path | None = None) -> dict[str, str]:
    wanted = Requirements(("httpx",), ("numpy<3",), file, origin=file.name if file else "none")
    return install(wanted, "3.13", tmp_path / "build/site", root=tmp_path, environ={})


def test_wheels_for_linux_only(tmp_path: Path, fake_uv: Uv) -> None:
    installed(tmp_path, tmp_path / "requirements.txt")

    (arguments,) = fake_uv.calls
    options = " ".join(arguments)
    assert "--only-binary :all:" in options
    assert "--python-version 3.13" in options
    assert "--python-platform x86_64-manylinux_2_28" in options
    assert str(tmp_path / "requirements.txt") in arguments
    assert (tmp_path / "build/requirements/all.txt").read_text() == "httpx\nnumpy<3\n"
    assert (tmp_path / "build/requirements/not.txt").read_text() == "netlify-workflow-kit\n"


def test_the_kit_comes_from_where_it_runs_without_a_developers_rooms(
    tmp_path: Path, fake_uv: Uv
) -> None:
    installed(tmp_path)

    names = list(files_in(tmp_path / "build/site"))
    assert {"kit/__init__.py", "kit/deploy/function/child.py", "kit/execution/execute.py"} <= set(
        names
    )
    assert not [name for name in names if name.startswith(("kit/cli/", "kit/deploy/bundle/"))]
    assert {name.rpartition(".")[2] for name in names if name.startswith("kit/")} == {"py"}
    assert set(kit_files()) == {name[4:] for name in names if name.startswith("kit/")}
    assert kit_digest() == kit_digest()


def test_what_only_developers_need_is_gone_and_owners_are_known(
    tmp_path: Path, fake_uv: Uv
) -> None:
    owners = installed(tmp_path)

    names = files_in(tmp_path / "build/site")
    assert sorted(name for name in names if not name.startswith("kit/")) == [
        "one.py",
        "thing-1.0.dist-info/METADATA",
        "thing/__init__.py",
    ]
    assert owners["thing"] == owners["one.py"] == owners["one.pyc"] == "thing 1.0"
    assert owners["kit"].startswith("netlify-workflow-kit ")


def test_newer_platforms_are_tried_up_to_what_netlify_has(tmp_path: Path, fake_uv: Uv) -> None:
    fake_uv.failures, fake_uv.said = 1, "no wheels"

    installed(tmp_path)

    platforms = [call[-1] for call in fake_uv.calls]
    assert platforms == ["x86_64-manylinux_2_28", "x86_64-manylinux_2_34"]
    assert not (tmp_path / "build/site/half").exists()


def test_without_a_wheel_the_error_names_the_package_and_says_what_to_do(
    tmp_path: Path, fake_uv: Uv
) -> None:
    fake_uv.failures, fake_uv.said = 2, NO_WHEEL

    with pytest.raises(BuildError, match="there is no Linux wheel for a package") as caught:
        installed(tmp_path, tmp_path / "pyproject.toml")

    assert caught.value.code == "BUILD_NO_WHEEL"
    assert "docopt has no usable wheels" in caught.value.message
    assert "(pyproject.toml)" in caught.value.message
    assert "workflow.python in kit.yaml" in caught.value.message


def test_any_other_failure_is_told_as_it_is(tmp_path: Path, fake_uv: Uv) -> None:
    fake_uv.failures, fake_uv.said = 2, "error: nope was not found in the package registry"

    with pytest.raises(BuildError, match="packages cannot be installed") as caught:
        installed(tmp_path, tmp_path / "requirements.txt")

    assert caught.value.code == "BUILD_NO_PACKAGES"
    assert "Correct requirements.txt" in caught.value.message


def test_what_the_kit_brings_is_found_through_what_needs_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "NEEDED", ("Pydantic.Settings>=2", "httpx"))
    elsewhere = ('boto3; extra == "aws"', 'colorama; sys_platform == "win32"')
    distribution(tmp_path, "pydantic_settings", ('pydantic>=2; os_name == "posix"', *elsewhere))
    distribution(tmp_path, "colorama")
    distribution(tmp_path, "pydantic", ("pydantic-core==2", "pydantic"))
    distribution(tmp_path, "pydantic_core")
    distribution(tmp_path, "boto3")
    distribution(tmp_path, "starlette")  # what HTTP functions need

    assert brought_by_kit(tmp_path) == {
        "pydantic_settings 1.0",
        "pydantic 1.0",
        "pydantic_core 1.0",
        "starlette 1.0",
    }


def test_packages_that_look_into_their_own_source_are_known(tmp_path: Path):
    for file, text in {
        "lazy/__init__.py": "from lazy._later import install",
        "lazy/_later.py": "source = inspect.getsource(module)",
        "lazy/inner/__init__.py": "",
        "plain/__init__.py": "import inspect",
        "alone.py": "inspect.getsource(alone)",
    }.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)

    assert read_themselves(tmp_path) == {"lazy/__init__.py", "lazy/inner/__init__.py"}
