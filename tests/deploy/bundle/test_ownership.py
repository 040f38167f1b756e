from pathlib import Path

import pytest

from kit.deploy.bundle.ownership import own_entries, write_entries
from kit.model.errors import BuildError

TEXTS = {"kit-workflows.mjs": "export default 1;\n", "kit-api-a.mjs": "export default 2;\n"}


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return tmp_path / "functions"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_entries_are_written_and_known_again(folder: Path) -> None:
    assert write_entries(folder, TEXTS) == sorted(TEXTS)
    assert own_entries(folder) == sorted(TEXTS)
    assert write_entries(folder, TEXTS) == []
    assert (folder / "kit-api-a.mjs").read_text().endswith("\nexport default 2;\n")


def test_those_no_longer_wanted_are_removed(folder: Path) -> None:
    write_entries(folder, TEXTS)

    assert write_entries(folder, {"kit-workflows.mjs": "new\n"}) == sorted(TEXTS)
    assert names(folder) == ["kit-workflows.mjs"]


def test_files_of_the_users_stay(folder: Path) -> None:
    write_entries(folder, TEXTS)
    (folder / "mine.mjs").write_text("mine")
    (folder / "kit-mine.mjs").write_text("mine too")

    write_entries(folder, {})

    assert names(folder) == ["kit-mine.mjs", "mine.mjs"]


@pytest.mark.parametrize(
    "name", ["kit-workflows.mjs", "kit-workflows.ts", "Kit-Workflows.js", "kit-workflows/index.mjs"]
)
def test_a_users_file_of_that_name_is_an_error_naming_both(folder: Path, name: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True)
    file.write_text("mine")

    with pytest.raises(BuildError, match=r"has the name of the function") as caught:
        write_entries(folder, TEXTS)

    assert caught.value.code == "BUILD_NAME_TAKEN"
    assert file.read_text() == "mine"
    assert not (folder / "kit-api-a.mjs").exists()


@pytest.mark.parametrize("wanted", [TEXTS, {}])
def test_an_entry_edited_by_hand_is_an_error(folder: Path, wanted: dict[str, str]) -> None:
    write_entries(folder, TEXTS)
    edited = folder / "kit-api-a.mjs"
    edited.write_text(edited.read_text() + "// mine\n")

    with pytest.raises(BuildError, match="then edited") as caught:
        write_entries(folder, wanted)

    assert caught.value.code == "BUILD_ENTRY_EDITED"
    assert edited.read_text().endswith("// mine\n")


def test_a_folder_that_is_not_there_has_no_entries(folder: Path) -> None:
    assert own_entries(folder) == []
