"""What Async Workloads keeps of a run, and what can be read from it again."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kit.model.delivery import Checkpoint, CheckpointKind
from kit.netlify.stored import checkpoints_of, stored_json

STEP, SLEEP, RETRY = CheckpointKind.STEP, CheckpointKind.SLEEP, CheckpointKind.RETRY


class Platform:
    """Keeps `stepResults` in a JavaScript object: whole numbers first, the rest as it came."""

    def __init__(self) -> None:
        self.results: dict[str, str] = {}

    @property
    def item(self) -> dict[str, Any]:
        whole = sorted((each for each in self.results if each.isdigit()), key=int)
        keys = [*whole, *(each for each in self.results if not each.isdigit())]
        return {"stepResults": [{"stepId": k, "stepResult": self.results[k]} for k in keys]}

    def store(self, *checkpoints: Checkpoint, sleeps: Any = (), forgotten: Any = ()) -> None:
        for each in stored_json(checkpoints, forgotten, self.item):
            self.results.setdefault(each["id"], json.dumps(each["text"]))
        for each in sleeps:
            self.results.setdefault(f"awl:sleep:{each}", '{"duration":5}')

    @property
    def order(self) -> list[str]:
        known = checkpoints_of(self.item).values()
        return [each.step_id for each in sorted(known, key=lambda each: each.sequence or 0)]


def step(step_id: str, sequence: int, value: Any = 1) -> Checkpoint:
    return Checkpoint(step_id, STEP, f'{{"value":{json.dumps(value)}}}', sequence=sequence)


def test_steps_named_by_numbers_keep_their_order():
    platform = Platform()
    platform.store(step("10", 0), step("a", 1), sleeps=["nap"])
    platform.store(step("2", 3), sleeps=["kit:retry:0"])
    platform.store(step("1", 5))

    assert platform.order == ["10", "a", "nap", "2", "kit:retry:0", "1"]


@given(st.lists(st.lists(st.tuples(st.booleans(), st.integers(0, 99)), min_size=1), max_size=8))
def test_all_comes_back_in_the_order_in_which_it_was_recorded(rounds: Any):
    """Whatever is stored together: steps first, then sleeps, each with the next number."""
    platform, expected, number, seen = Platform(), [], 0, set()
    for each in rounds:
        fresh = [f"{n}" for is_sleep, n in each if not is_sleep]
        sleeps = [f"s{n}" for is_sleep, n in each if is_sleep]
        fresh = [n for n in dict.fromkeys(fresh) if n not in seen]
        sleeps = [n for n in dict.fromkeys(sleeps) if n not in seen]
        seen.update(fresh, sleeps)
        platform.store(*(step(n, number + i) for i, n in enumerate(fresh)), sleeps=sleeps)
        number += len(fresh) + len(sleeps)
        expected += [*fresh, *sleeps]

    assert platform.order == expected


def test_what_is_forgotten_is_gone_and_what_it_comes_to_next_is_kept_under_another_id():
    platform = Platform()
    failed = Checkpoint("charge", STEP, '{"error":{}}', 0, 0, 0)
    platform.store(failed, step("refund", 1))
    platform.store(forgotten=["charge"], sleeps=["kit:retry:0"])
    assert platform.order == ["refund", "kit:retry:0"]

    platform.store(Checkpoint("charge", STEP, '{"error":{}}', 0, 0, 3))
    assert platform.order == ["refund", "kit:retry:0", "charge"]
    assert "charge~1" in platform.results
    platform.store(forgotten=["charge"], sleeps=["kit:retry:1"])
    platform.store(step("charge", 5, "paid"))

    assert "charge~2" in platform.results
    assert checkpoints_of(platform.item)["charge"] == step("charge", 5, "paid")


def test_an_id_of_the_users_own_that_looks_like_another_is_no_other():
    platform = Platform()
    platform.store(step("a", 0, "first"), step("a~1", 1, "own"))
    platform.store(forgotten=["a"], sleeps=["kit:retry:0"])
    platform.store(step("a", 3, "again"))

    found = checkpoints_of(platform.item)
    assert {key: found[key].text for key in ("a", "a~1")} == {
        "a": '{"value":"again"}',
        "a~1": '{"value":"own"}',
    }


def test_a_cut_off_and_an_inner_step_come_back_as_they_were():
    platform = Platform()
    cut = Checkpoint("slow", CheckpointKind.CUT_OFF, sequence=0)
    within = Checkpoint(
        "in", CheckpointKind.CUT_OFF, '{"cut":true,"outer":"o","inner":true}', sequence=2
    )
    inner = Checkpoint("inner", STEP, '{"value":1,"inner":true}', sequence=1)
    platform.store(cut, inner, within)

    assert checkpoints_of(platform.item) == {"slow": cut, "inner": inner, "in": within}


def test_what_a_first_edition_has_stored_has_no_order_and_is_counted():
    platform = Platform()
    platform.results = {"b": '"{\\"value\\":1}"', "a": '"{\\"value\\":2}"'}
    platform.store(step("new", 2), sleeps=["nap"])

    found = checkpoints_of(platform.item)
    assert {key: each.sequence for key, each in found.items()} == {
        "a": None,
        "b": None,
        "new": 2,
        "nap": 3,
    }
