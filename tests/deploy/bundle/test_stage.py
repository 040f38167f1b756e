import os
from dataclasses import replace
from pathlib import Path

import pytest

from kit.deploy.bundle.stage import Facts, Stages


class Made:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self, target: Path) -> Facts:
        self.times += 1
        (target / "file").write_text(str(self.times))
        return {"time": self.times}


@pytest.fixture(name="stages")
def _stages(tmp_path: Path) -> Stages:
    return Stages(tmp_path / "bundle", tmp_path / "records")


def test_a_stage_is_made_once_for_the_same_input(stages: Stages) -> None:
    make = Made()

    first = stages.run("site", ["x"], make)
    second = stages.run("site", ["x"], make)

    assert (make.times, first.fresh, second.fresh) == (1, True, False)
    assert first.facts == second.facts == {"time": 1}
    assert (stages.bundle / "site" / "file").read_text() == "1"


def test_it_is_made_again_for_another(stages: Stages) -> None:
    make = Made()
    stages.run("site", ["x"], make)

    assert stages.run("site", ["y"], make).facts == {"time": 2}


def test_at_another_moment_it_is_not_made_again_but_given_that(stages: Stages) -> None:
    make = Made()
    stages.run("site", ["x"], make)

    later = replace(stages, moment=1_000_000_000)
    done = later.run("site", ["x"], make)

    assert (make.times, done.fresh, done.facts) == (1, False, {"time": 1})
    assert (stages.bundle / "site" / "file").stat().st_mtime == 1_000_000_000
    assert not later.run("site", ["x"], make).fresh
    assert make.times == 1


@pytest.mark.parametrize("harm", ["changed", "touched", "added", "removed", "record"])
def test_it_is_made_again_if_its_tree_was_touched(stages: Stages, harm: str) -> None:
    make = Made()
    stages.run("site", [], make)
    file = stages.bundle / "site" / "file"
    match harm:
        case "changed":
            file.write_text("99")
        case "touched":
            os.utime(file)
        case "added":
            (stages.bundle / "site" / "more").write_text("")
        case "removed":
            file.unlink()
        case "record":
            (stages.records / "site.json").write_text("[1")

    assert stages.run("site", [], make).fresh
    assert [path.name for path in (stages.bundle / "site").iterdir()] == ["file"]


def test_one_that_failed_leaves_no_record(stages: Stages) -> None:
    make = Made()
    stages.run("site", ["x"], make)

    def fail(target: Path) -> Facts:
        (target / "half").write_text("")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        stages.run("site", ["y"], fail)

    assert stages.run("site", ["y"], make).fresh
    assert not (stages.bundle / "site" / "half").exists()


def test_facts_without_a_tree_are_recalled(stages: Stages) -> None:
    asked = []

    def find_out() -> Facts:
        asked.append(1)
        return {"answer": 42}

    assert stages.recall("workflows", 1, find_out).facts == {"answer": 42}
    assert not stages.recall("workflows", 1, find_out).fresh
    assert stages.recall("workflows", 2, find_out).fresh
    assert len(asked) == 2
