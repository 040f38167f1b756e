from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.client.sending import make_event
from kit.model.errors import LoopDetectedError
from kit.model.event import (
    CHAIN_LIMIT,
    MAX_NAME_LENGTH,
    Event,
    check_id,
    check_key,
    check_name,
    check_own_name,
    check_priority,
    derived_id,
    event_due,
)
from kit.model.workflow import Workflow

ID = "0190b6f0-0000-4000-8000-000000000000"


def test_an_event_is_valid_from_birth() -> None:
    event = Event("publish-draft", {"title": "x"}, ID)
    assert (event.due, event.priority, event.chain) == (None, 0, ())
    for wrong in ({"name": ""}, {"id": "x"}, {"priority": 51}):
        with pytest.raises(ValueError, match=r"is no|must be"):
            Event(**{"name": "n", "data": None, "id": ID, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a", "reports/monthly", "Straße", "with space", "x" * 381])
def test_a_name_is_any_printable_latin_1_text(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "it is empty"),
        (" a", "ends with a blank"),
        ("a\n", "ends with a blank"),
        ("a\tb", "printable Latin-1"),
        ("\u0142", "printable Latin-1"),
        ("a\u00adb", "printable Latin-1"),
        ("x" * (MAX_NAME_LENGTH + 1), "too long: at most 381"),
        (None, "must be a text, not None"),
        (5, "must be a text, not 5"),
    ],
)
def test_what_netlify_could_not_store_is_no_name(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_name(name)


@pytest.mark.parametrize(
    "event_id",
    [
        "",
        "x",
        None,
        ID + "\n",
        ID.replace("-4", "-1"),
        ID.replace("-8", "-7"),
        ID.replace("-", ""),
        f"{{{ID}}}",
    ],
)
def test_an_id_that_is_no_version_4_uuid_is_refused(event_id: str) -> None:
    with pytest.raises(ValueError, match="version-4 UUID"):
        check_id(event_id)


def test_an_id_may_be_in_capitals() -> None:
    assert check_id("ABCDEF01-0000-4000-B000-000000000000")


@pytest.mark.parametrize("priority", [-50, 0, 50])
def test_a_priority_is_a_whole_number_within_50(priority: int) -> None:
    assert check_priority(priority) == priority


@pytest.mark.parametrize("priority", [-51, 51, 1.5, True, "1", None])
def test_any_other_priority_is_refused(priority: int) -> None:
    with pytest.raises(ValueError, match="is no priority: a whole number from -50 to 50"):
        check_priority(priority)


@pytest.mark.parametrize(
    ("delay", "until", "expected"),
    [
        (None, None, None),
        ("1 minute", None, 61_000),
        (timedelta(seconds=-1), None, 1000),
        (None, datetime(1970, 1, 1, 0, 1, tzinfo=UTC), 60_000),
    ],
)
def test_an_event_is_due_after_a_delay_or_at_a_moment(
    delay: Any, until: datetime | None, expected: int | None
) -> None:
    assert event_due(delay, until, 1000) == expected


def test_a_delay_and_a_moment_are_one_too_many() -> None:
    with pytest.raises(ValueError, match="not both"):
        event_due(1, datetime(2030, 1, 1, tzinfo=UTC), 1000)


@given(st.lists(st.text(st.characters()), min_size=1, max_size=4))
def test_a_derived_id_is_an_id_and_always_the_same(parts: list[str]) -> None:
    derived = derived_id(*parts)
    assert check_id(derived) == derived_id(*parts)
    assert re.fullmatch(r"[0-9a-f-]{36}", derived)
    assert derived != derived_id(*parts, "")


def test_a_chain_holds_the_events_before() -> None:
    event = Event("b", None, ID, chain=("a",))
    assert event.chain_of_sent("c") == ("a", "b")


def test_the_twentieth_event_of_a_chain_is_not_sent() -> None:
    names = tuple(f"e{number}" for number in range(1, CHAIN_LIMIT))
    assert len(Event(names[17], None, ID, chain=names[:17]).chain_of_sent("last")) == 18
    with pytest.raises(LoopDetectedError, match=r"would be number 20 in a chain .* → again"):
        Event(names[18], None, ID, chain=names[:18]).chain_of_sent("again")


@pytest.mark.parametrize("key", ["order-7", "é", "😀", " ", "x" * 1000])
def test_any_text_is_a_key(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", None, 7, b"x", "\ud800", "a\udcff"])
def test_what_is_no_text_or_no_utf8_is_no_key(key: Any) -> None:
    with pytest.raises(ValueError, match="is no id to start a run under"):
        check_key(key)


@pytest.mark.parametrize("name", ["awl:delete-events", "AWL:retry-failed-events", " awl:x"])
def test_a_name_of_the_platforms_own_is_nobodys(name: str) -> None:
    with pytest.raises(ValueError, match="of Async Workloads' own"):
        check_own_name(name)
    with pytest.raises(ValueError, match="of Async Workloads' own"):
        Workflow(lambda: None, name)
    with pytest.raises(ValueError, match="of Async Workloads' own"):
        make_event(name, {"states": []}, {})
    assert check_own_name("awl-delete") == "awl-delete"
