"""News of runs, gathered for whoever watches."""

import asyncio
import gc

from kit.dev.feed import MOST, Feed, merged
from kit.dev.runs import Change


async def test_what_happens_before_a_watcher_looks_comes_as_one_change() -> None:
    feed = Feed(interval=0)
    changes = feed.changes()
    for _ in range(500):
        feed.tell("a")
        feed.tell("b")
    feed.tell_of(Change(frozenset("c")))
    assert await anext(changes) == Change(frozenset("abc"))
    feed.tell("d")
    assert await anext(changes) == Change(frozenset("d"))


async def test_more_runs_than_a_page_could_show_are_told_as_everything() -> None:
    feed = Feed(interval=0)
    changes = feed.changes()
    for number in range(MOST + 1):
        feed.tell(str(number))
    feed.tell("later")
    assert await anext(changes) == Change(is_everything=True)


async def test_each_watcher_has_its_own_news_from_its_beginning_on() -> None:
    feed = Feed(interval=0)
    first = feed.changes()
    feed.tell("a")
    second = feed.changes()
    feed.tell("b")
    assert await anext(first) == Change(frozenset("ab"))
    assert await anext(second) == Change(frozenset("b"))


async def test_a_closed_feed_ends_every_watch() -> None:
    feed = Feed(interval=0)
    waiting = asyncio.ensure_future(anext(feed.changes(), None))
    await asyncio.sleep(0)
    feed.close()
    assert await waiting is None


async def test_who_drops_its_watch_is_forgotten() -> None:
    feed = Feed(interval=0)
    feed.changes()
    gc.collect()
    assert not feed._watchers


def test_two_changes_become_one() -> None:
    loaded = Change(frozenset("a"), workflows=True)
    taken = Change(frozenset("b"), source=True)
    assert merged(loaded, taken) == Change(frozenset("ab"), workflows=True, source=True)
    assert merged(loaded, Change(is_everything=True)).runs == frozenset()


async def test_a_watch_that_begins_after_the_end_ends_at_once() -> None:
    feed = Feed()
    feed.close()

    assert [change async for change in feed.changes()] == []
