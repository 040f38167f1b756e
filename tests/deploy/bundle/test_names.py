"""Names that two files have are told before anything is bundled."""

from pathlib import Path

import pytest

from kit.deploy.bundle.names import judge_names

FOLDER = "functions/workflows"
PLAIN = "from kit import define_workflow\n@define_workflow\ndef f(): pass\n"
NAMED = "import kit\n@kit.define_workflow(name={name})\ndef f(): pass\n"
GIVEN = "import kit\nN = 'x'\n@kit.define_workflow(**N)\ndef f(): pass\n"


@pytest.mark.parametrize(
    "files",
    [
        {"a_b.py": PLAIN, "a-b.py": PLAIN},
        {"Hello.py": PLAIN, "hello/__init__.py": PLAIN},
        {"a.py": PLAIN, "deep/er.py": NAMED.format(name="'A'")},
        {"a.py": NAMED.format(name="'x'"), "b.py": NAMED.format(name="'x'"), "c.py": PLAIN},
    ],
)
def test_files_whose_workflows_have_one_name_are_named(tmp_path: Path, files: dict[str, str]):
    _write(tmp_path, files)
    [finding] = judge_names(tmp_path, FOLDER)

    assert (finding.level, finding.code) == ("error", "WORKFLOW_DUPLICATE")
    for path in sorted(files)[:2]:
        assert f"{FOLDER}/{path}" in finding.text or path == "c.py"
    assert "define workflows of one name" in finding.text


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"email/welcome.py": PLAIN, "email-welcome.py": PLAIN},
        {"a.py": PLAIN, "b/a.py": PLAIN},
        {"a_b.py": PLAIN, "a-b.py": NAMED.format(name="'other'")},
        {"a_b.py": PLAIN, "a-b.py": NAMED.format(name="NAME")},
        {"a_b.py": PLAIN, "a-b.py": GIVEN},
        {"a_b.py": PLAIN, "a-b.py": "not Python at all\n"},
        {"a_b.py": PLAIN, "a-b.py": "\0"},
        {"__init__.py": PLAIN, "a.py": PLAIN},
        {"_a.py": PLAIN, "-a.py": PLAIN},
    ],
)
def test_what_only_importing_tells_is_left_to_it(tmp_path: Path, files: dict[str, str]):
    _write(tmp_path, files)

    assert list(judge_names(tmp_path, FOLDER)) == []


def _write(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        file = root / FOLDER / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
