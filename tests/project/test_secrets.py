"""The key: never shown, in no message and in no frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.model.errors import ConfigError
from kit.project import config as config_module

SECRET = "s3cret-key"


def test_a_key_is_never_shown(root: Path, read: Any) -> None:
    found = read(root, f"workflow:\n  apiKey: {SECRET}\n")

    assert found.api_key is not None
    assert found.api_key.get_secret_value() == SECRET
    shown = f"{found!r} {found} {found.workflow!r} {found.workflow} {found.hosting!r}"
    assert SECRET not in shown + str(found.get_workflow().model_dump())
    assert SECRET not in found.get_workflow().model_dump_json()


@pytest.mark.parametrize("key", [f"{SECRET}\n", f" {SECRET}", f"{SECRET}\0", f"{SECRET}ü", ""])
def test_a_key_that_no_header_could_carry_is_refused_unseen(
    root: Path, key: str, refusal: Any
) -> None:
    says = refusal(root, api_key=key)

    assert says.startswith("argument api_key: it is empty, or holds a blank")


def test_a_key_of_a_wrong_type_is_refused_unseen(root: Path, refusal: Any) -> None:
    assert refusal(root, "workflow:\n  apiKey: 1234567\n") == (
        f"{root / 'kit.yaml'} line 2, workflow.apiKey: its value (hidden) is a number;"
        " it must be the key as text, in quotes"
    )


def test_a_key_argument_of_a_wrong_type_is_refused_unseen(root: Path, refusal: Any) -> None:
    assert refusal(root, api_key=["s3cret"]) == (
        "argument api_key: its value (hidden) will not do; it must be the key as text, in quotes"
    )


def test_a_key_in_a_file_that_is_no_yaml_is_not_repeated(root: Path, refusal: Any) -> None:
    assert refusal(root, "workflow:\n  apiKey: 's3cret\n  store: awl\n")


def frames_of(error: BaseException | None) -> Iterator[Any]:
    """Yield what a report with local variables would show of *error* and what led to it."""
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename.startswith(
                str(Path(config_module.__file__).parent)
            ):
                yield from trace.tb_frame.f_locals.values()
            trace = trace.tb_next
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    ("text", "environ", "arguments"),
    [
        ("workflow:\n  store: awll\n", {"WORKFLOW_API_KEY": SECRET}, {}),
        (f"workflow:\n  apiKey: {SECRET}\n  store: awll\n", {}, {}),
        ("", {"WORKFLOW_BASE_URL": "http://x.example", "AWL_API_KEY": SECRET}, {}),
        ("", {}, {"api_key": f"{SECRET} "}),
        ("", {}, {"api_key": SECRET, "concurrency": 0}),
        ("", {}, {"api_key": SECRET, "nonsense": 1}),
    ],
)
def test_no_frame_of_an_error_holds_the_key(
    root: Path,
    text: str,
    environ: dict[str, str],
    arguments: dict[str, Any],
    read: Any,
) -> None:
    with pytest.raises((ConfigError, TypeError)) as caught:
        read(root, text, environ, **arguments)
    assert SECRET not in repr(list(frames_of(caught.value)))
    assert caught.value.__traceback__ is not None
