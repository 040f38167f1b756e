from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.model.duration import UNIT_MILLISECONDS, due_at, parse_duration, to_milliseconds

NOW = 1_767_225_600_000


def plural(*words: str) -> list[str]:
    return [form for word in words for form in (word, f"{word}s")]


# the table of the facts, written out once more
TABLE = {
    1: ["ms", *plural("msec", "millisecond")],
    1000: ["s", "sec", "secs", *plural("second")],
    60_000: ["m", *plural("min", "minute")],
    3_600_000: ["h", *plural("hr", "hour")],
    86_400_000: ["d", *plural("day")],
    604_800_000: ["w", *plural("wk", "week")],
    31_557_600_000: ["y", *plural("yr", "year")],
}
WORDS = {word: length for length, words in TABLE.items() for word in words}


def netlify_reads(text: str) -> float | None:
    """Read a string as the facts tell it, without patterns; None where it is refused."""
    low = text.lower() if text.isascii() else "?"
    rest = low.lstrip("-0123456789.")
    number = low[: len(low) - len(rest)]
    rest = rest.lstrip(" ")
    whole, point, decimals = number.removeprefix("-").partition(".")
    digits = whole + decimals
    if not digits.isdigit() or (point and not decimals):
        return None
    if float(number) == 0 and (not rest or rest in WORDS):
        return 0.0  # zero is refused by Netlify alone
    if rest not in WORDS:
        return None  # no unit is refused by the kit alone
    return float(number) * WORDS[rest]


def span(milliseconds: float | None) -> timedelta | None:
    try:
        return None if milliseconds is None else timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None  # longer than Python can tell


def kit_reads(text: str) -> timedelta | None:
    try:
        return parse_duration(text)
    except ValueError:
        return None


def test_every_unit_word_of_netlify_is_known() -> None:
    assert UNIT_MILLISECONDS == WORDS


@given(st.text(alphabet="0123456789.- smhdwyekrinuo+_\n\tSMK\u212a\u0661", max_size=12))
def test_any_text_is_read_or_refused_as_netlify_does(text: str) -> None:
    expected = netlify_reads(text)
    read = kit_reads(text)
    assert read == span(expected)


@given(
    st.from_regex(r"-?[0-9]{0,5}\.?[0-9]{1,5}", fullmatch=True).filter(str.isascii),
    st.integers(0, 3).map(lambda count: " " * count),
    st.sampled_from(sorted(WORDS)),
    st.booleans(),
)
def test_a_number_and_a_unit_are_read_as_netlify_does(
    number: str, gap: str, word: str, shouted: bool
) -> None:
    text = number + gap + (word.upper() if shouted else word)
    expected = netlify_reads(text)
    read = kit_reads(text)
    assert read == span(expected)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("30 seconds", timedelta(seconds=30)),
        ("1.5h", timedelta(minutes=90)),
        (".5 D", timedelta(hours=12)),
        ("2 days", timedelta(days=2)),
        ("1y", timedelta(days=365.25)),
        ("-2s", timedelta(seconds=-2)),
        (0, timedelta()),
        ("0", timedelta()),
        ("0 seconds", timedelta()),
        ("-0.0 ms", timedelta()),
        (90, timedelta(seconds=90)),
        (0.25, timedelta(milliseconds=250)),
        (0.000001, timedelta(microseconds=1)),
        (-1, timedelta(seconds=-1)),
        (timedelta(days=3), timedelta(days=3)),
    ],
)
def test_numbers_are_seconds_and_strings_have_units(
    given_: float | str | timedelta, expected: timedelta
) -> None:
    assert parse_duration(given_) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5", "'5' has no unit: Netlify would read milliseconds; write 5 seconds"),
        ("0 months", "unknown unit 'months'"),
        ("1sm", "unknown unit 'sm'"),
        ("3 months", "unknown unit 'months'"),
        ("1h30m", "one number and one unit"),
        ("5. s", "one number and one unit"),
        ("+5s", "one number and one unit"),
        ("1e3s", "one number and one unit"),
        (" 5s", "one number and one unit"),
        ("5s\n", "one number and one unit"),
        ("\u0665 s", "one number and one unit"),
        ("", "one number and one unit"),
        ("1" + "0" * 400 + " s", "too long"),
    ],
)
def test_a_string_outside_the_grammar_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_duration(text)


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 1e300, 10**400, 10**14])
def test_a_number_that_is_no_length_of_time_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match=r"not finite|too long"):
        parse_duration(number)


@pytest.mark.parametrize("value", [True, None, [], b"5s", 1j])
def test_another_type_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match="is no duration"):
        parse_duration(value)  # type: ignore[arg-type]


@given(st.integers(-(10**9), 10**9))
def test_whole_seconds_are_exact(seconds: int) -> None:
    assert to_milliseconds(parse_duration(seconds)) == seconds * 1000


def test_milliseconds_are_rounded_to_the_nearest() -> None:
    assert to_milliseconds(timedelta(microseconds=1499)) == 1
    assert to_milliseconds(timedelta(microseconds=1501)) == 2


def test_a_duration_counts_from_now_and_never_backwards() -> None:
    assert due_at("1 minute", NOW) == NOW + 60_000
    assert due_at(1.5, NOW) == NOW + 1500
    assert due_at(timedelta(days=-1), NOW) == NOW


def test_a_moment_in_the_past_counts_as_now() -> None:
    assert due_at(datetime(2001, 1, 1, tzinfo=UTC), NOW) == NOW


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        due_at(datetime(2030, 1, 1), NOW)  # noqa: DTZ001


@given(
    st.integers(NOW, 4_000_000_000_000),
    st.integers(0, 999),
    st.integers(-14, 14),
)
def test_a_moment_is_never_early_and_less_than_a_millisecond_late(
    milliseconds: int, microseconds: int, hours: int
) -> None:
    zone = timezone(timedelta(hours=hours))
    start = datetime(1970, 1, 1, tzinfo=UTC).astimezone(zone)
    when = start + timedelta(milliseconds=milliseconds, microseconds=microseconds)
    assert due_at(when, NOW) == milliseconds + (microseconds > 0)
