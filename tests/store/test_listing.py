"""Runs as a list shows them."""

import sqlite3
from pathlib import Path

import pytest

from kit.model.event import derived_id
from kit.model.failure import Failure
from kit.model.run import Run, RunStatus
from kit.store.sqlite.listing import Listing, Wanted
from kit.store.sqlite.rows import RUN_COLUMNS, run_to_row
from kit.store.sqlite.schema import connect


def make(path: Path, *runs: Run) -> Listing:
    connection = connect(path)
    marks = ", ".join("?" * len(RUN_COLUMNS.split(",")))
    for run in runs:
        connection.execute(f"INSERT INTO runs ({RUN_COLUMNS}) VALUES ({marks})", run_to_row(run))
    connection.close()
    return Listing(path)


def run(number: int, **facts: object) -> Run:
    known = {"workflow": "w", "status": RunStatus.COMPLETED, "data": "1", "created": number}
    return Run(id=derived_id(str(number)), **{**known, **facts})  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def test_a_file_that_is_not_there_holds_no_runs(path: Path) -> None:
    listing = Listing(path)
    assert listing.page(Wanted()) == []
    assert listing.count(Wanted()) == 0
    make(path, run(1)).close()
    assert listing.count(Wanted()) == 1
    listing.close()


def test_runs_of_one_moment_are_on_one_page_each(path: Path) -> None:
    listing = make(path, *(run(number, created=7) for number in range(5)))
    seen = []
    after = None
    while page := listing.page(Wanted(), after=after, limit=2):
        seen += [listed.id for listed in page]
        after = page[-1].created, page[-1].id
    assert sorted(seen) == sorted(derived_id(str(number)) for number in range(5))
    assert len(seen) == 5
    listing.close()


def test_a_damaged_row_costs_its_run_only_what_is_damaged(path: Path) -> None:
    failure = Failure("ValueError", "x" * 1000)
    listing = make(path, run(1, failure=failure), run(2, failure=failure))
    other = sqlite3.connect(path)
    other.execute("UPDATE runs SET failure = '{', status = 'strange' WHERE created = 2")
    other.commit()
    other.close()
    damaged, sound = listing.page(Wanted())
    assert (damaged.status, damaged.error) == (RunStatus.UNKNOWN, "damaged: {")
    assert sound.error == f"ValueError: {'x' * 1000}"[:300]
    listing.close()


def test_runs_are_found_by_when_they_were_created(path: Path) -> None:
    listing = make(path, *(run(number) for number in range(5)))
    found = listing.page(Wanted(since=1, before=4))
    assert [listed.created for listed in found] == [3, 2, 1]
    listing.close()


def test_the_version_changes_when_somebody_writes(path: Path) -> None:
    listing = make(path, run(1))
    before = listing.version()
    assert listing.version() == before
    make(path, run(2)).close()
    assert listing.version() != before
    listing.close()


def test_pages_follow_the_index(path: Path) -> None:
    """Not a sort of everything there is: what makes a page of 100,000 runs as quick as one."""
    make(path, run(1)).close()
    connection = sqlite3.connect(path)
    sql = "SELECT id FROM runs WHERE created <= 1 ORDER BY created DESC, id DESC LIMIT 2"
    plan = str(connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall())
    connection.close()
    assert "runs_created" in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    ("wanted", "is_by_index"),
    [
        (Wanted(), True),
        (Wanted(since=1, before=9), True),
        (Wanted(statuses=(RunStatus.CANCELLED,)), False),
        (Wanted("w"), False),
        (Wanted(text="x"), False),
    ],
)
def test_where_few_may_fit_no_run_is_looked_up_by_the_index(
    path: Path, wanted: Wanted, is_by_index: bool
) -> None:
    """With 100,000 runs of which none fits, that is 27 ms instead of 410."""
    listing = make(path, run(1))
    listing.page(Wanted())
    connection, said = listing._connection, list[str]()
    assert connection is not None
    connection.set_trace_callback(said.append)
    listing.page(wanted)
    connection.set_trace_callback(None)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {said[-1]}").fetchall()
    assert ("runs_created" in str(plan)) is is_by_index
    listing.close()
