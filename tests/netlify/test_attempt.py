"""What counts as an answer when its time is over."""

from types import SimpleNamespace

from kit.netlify.attempt import GRACE, Attempt
from kit.netlify.responses import NoResponse, Response

HEAD = SimpleNamespace(status_code=200, headers={})


def read(seconds: float, *, is_whole: bool) -> Response | NoResponse:
    """Return what comes of an answer of two parts, as a transport reads it."""
    attempt = Attempt(seconds, is_whole=is_whole)
    attempt.begin(HEAD)
    for part in (b"one", b"two"):
        if attempt.take(part):
            break
    attempt.end()
    return attempt.outcome()


def test_what_came_in_time_is_the_answer() -> None:
    assert read(60, is_whole=True) == Response(200, {}, "onetwo")


def test_a_part_that_comes_too_late_makes_no_whole_of_what_came_before() -> None:
    told = read(-GRACE, is_whole=True)

    assert isinstance(told, NoResponse)
    assert (told.timed_out, told.may_have_arrived) == (True, True)


def test_where_the_beginning_is_wanted_a_head_in_time_is_enough() -> None:
    assert isinstance(read(-GRACE, is_whole=False), Response)
