"""From a schema to a form, and from what was entered in it to a value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from kit.dev.dashboard.views.answers import Answers, with_item, without_item
from kit.dev.dashboard.views.fields import Field, form_of
from kit.dev.dashboard.views.schemas import MISSING
from tests.support.examples import examples


class Address(BaseModel):
    street: str
    country: Literal["DE", "FR"] = "DE"


class Order(BaseModel):
    customer: str
    total: float
    count: int = 1
    express: bool = False
    note: str | None = None
    gift: bool | None = None
    tags: list[str] = []
    ways: list[Address] = []
    address: Address
    billing: Address | None = None
    meta: dict[str, Any] = {}


SCHEMA = TypeAdapter(Order).json_schema()


def entries_of(form: Field) -> dict[str, str]:
    """Return what a browser would send of *form* as it stands."""
    return dict(_sent(form))


def _sent(field: Field) -> Iterator[tuple[str, str]]:
    if field.is_left_out or field.kind == "fixed":
        return
    if field.may_be_left_out:
        yield f"on:{field.pointer}", "true"
    if field.kind == "list":
        yield f"count:{field.pointer}", str(len(field.fields))
    if field.kind in ("group", "list"):
        for inner in field.fields:
            yield from _sent(inner)
    else:
        yield field.name, field.text


def filled(value: Mapping[str, Any]) -> dict[str, str]:
    return entries_of(form_of(SCHEMA, value))


def test_each_type_has_its_own_kind_of_field() -> None:
    assert {field.label: field.kind for field in form_of(SCHEMA).fields} == {
        "Customer": "text",
        "Total": "number",
        "Count": "integer",
        "Express": "yes-no",
        "Note": "text",
        "Gift": "yes-no",
        "Tags": "list",
        "Ways": "list",
        "Address": "group",
        "Billing": "group",
        "Meta": "json",
    }


def test_defaults_stand_in_the_fields_and_optional_groups_are_left_out() -> None:
    form = {field.label: field for field in form_of(SCHEMA).fields}

    assert form["Count"].text == "1"
    assert form["Express"].text == "false"
    assert form["Address"].fields[1].choices == ("DE", "FR")
    assert (form["Billing"].may_be_left_out, form["Billing"].is_left_out) == (True, True)
    assert not form["Address"].may_be_left_out


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (str, "text"),
        (dict[str, int], "json"),
        (int | str, "json"),
        (tuple[int, str], "json"),
        (list[int], "list"),
        (Address | None, "group"),
        (Literal["a", "b"], "choice"),
        (Any, "json"),
        (None, "fixed"),
    ],
)
def test_the_whole_input_may_be_of_any_type(annotation: Any, kind: str) -> None:
    assert form_of(TypeAdapter(annotation).json_schema()).kind == kind


def test_a_model_that_contains_itself_ends_in_json() -> None:
    class Tree(BaseModel):
        name: str
        left: Tree | None = None

    Tree.model_rebuild(_types_namespace={"Tree": Tree})
    form = form_of(Tree.model_json_schema())

    assert list(form.everything())[-1].kind == "json"


def test_a_field_the_browser_would_spoil_is_a_text() -> None:
    schema = {"properties": {"at": {"type": "string", "format": "date-time"}}, "type": "object"}
    (field,) = form_of(schema, {"at": "2027-01-31T09:00:00+02:00"}).fields

    assert (field.kind, field.text) == ("text", "2027-01-31T09:00:00+02:00")


def test_what_the_schema_does_not_foresee_is_not_dropped() -> None:
    form = form_of(SCHEMA, {"customer": "A", "surprise": 1})

    assert form.kind == "json"
    assert json.loads(form.text) == {"customer": "A", "surprise": 1}


addresses = st.fixed_dictionaries(
    {"street": st.text(alphabet="ab \n/~", max_size=5), "country": st.sampled_from(["DE", "FR"])}
)
orders = st.fixed_dictionaries(
    {
        "customer": st.text(alphabet="aß'\"<& ", min_size=1, max_size=6),
        "total": st.one_of(st.integers(-5, 5), st.floats(-1e6, 1e6)),
        "count": st.integers(-(10**20), 10**20),
        "express": st.booleans(),
        "tags": st.lists(st.text(alphabet="xy", min_size=1), max_size=3),
        "ways": st.lists(addresses, max_size=2),
        "address": addresses,
        "billing": st.one_of(st.none(), addresses),
        "meta": st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2),
    },
    optional={"note": st.text(alphabet="n\n", min_size=1), "gift": st.booleans()},
)


@settings(max_examples=examples(60))
@given(order=orders)
def test_what_a_form_is_filled_with_comes_back_from_it(order: dict[str, Any]) -> None:
    answers = Answers(SCHEMA, filled(order))

    assert answers.problems == {}
    assert Order(**answers.input) == Order(**order)


def test_an_empty_optional_field_is_left_to_its_default() -> None:
    entries = filled({"customer": "A", "total": 1, "address": {"street": "S"}})
    answers = Answers(SCHEMA, {**entries, "input:/count": "", "input:/note": ""})

    assert "count" not in answers.input
    assert "note" not in answers.input


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("input:/total", "", "Field required"),
        ("input:/total", "much", "This is to be a number, such as 1.5"),
        ("input:/total", "NaN", "This is to be a number, such as 1.5"),
        ("input:/total", "1e999", "This is to be a number, such as 1.5"),
        ("input:/count", "1.5", "This is to be a whole number"),
        ("input:/count", "true", "This is to be a whole number"),
        ("input:/address/country", "7", "Choose one of these"),
    ],
)
def test_what_is_no_answer_is_said_at_its_field(name: str, text: str, problem: str) -> None:
    entries = filled({"customer": "A", "total": 1, "address": {"street": "S"}})
    form = Answers(SCHEMA, {**entries, name: text}).form()
    (wrong,) = [field for field in form.everything() if field.problem]

    assert (wrong.name, wrong.problem) == (name, problem)
    assert wrong.text == text


def test_json_that_is_none_is_said_with_the_reason_and_kept() -> None:
    entries = {**filled({"customer": "A", "total": 1}), "json:/meta": "{oh"}
    form = Answers(SCHEMA, entries).form()
    (wrong,) = [field for field in form.everything() if "JSON:" in field.problem]

    assert (wrong.kind, wrong.text) == ("json", "{oh")


@pytest.mark.parametrize("depth", [257, 900, 980, 100_000])
@pytest.mark.parametrize("name", ["json:/meta", "json:", "input:/total"])
def test_what_is_nested_too_deeply_is_said_at_its_field(name: str, depth: int) -> None:
    text = "[" * depth + "]" * depth
    answers = Answers(SCHEMA, {**filled({"customer": "A", "total": 1}), name: text})
    (wrong,) = [field for field in answers.form().everything() if field.problem]

    assert wrong.text == text
    assert ("nested more than 256 deep" in wrong.problem) is name.startswith("json")


def test_what_pydantic_finds_is_said_at_the_field_it_names() -> None:
    answers = Answers(SCHEMA, filled({"customer": "A", "total": 1, "ways": [{"street": "S"}]}))
    form = answers.form(
        [
            {"loc": ("ways", 0, "street"), "msg": "too short"},
            {"loc": ("function-after", "address", "Address", "street"), "msg": "unknown"},
            {"loc": (), "msg": "too early"},
        ]
    )
    said = {field.pointer: field.problem for field in form.everything() if field.problem}

    assert said == {"/ways/0/street": "too short", "/address/street": "unknown", "": "too early"}


def test_a_list_gets_an_item_and_loses_the_right_one() -> None:
    entries = filled({"customer": "A", "total": 1, "tags": ["a", "b", "c"]})
    fewer = Answers(SCHEMA, without_item(entries, "/tags/1"))
    more = Answers(SCHEMA, with_item(entries, "/ways"))

    assert fewer.input["tags"] == ["a", "c"]
    assert more.form().fields[7].fields[0].fields[1].text == "0"  # the default: DE


def test_an_item_left_open_is_asked_for() -> None:
    schema = TypeAdapter(list[int]).json_schema()
    answers = Answers(schema, with_item({"count:": "0"}, ""))

    assert answers.problems == {(0,): "Field required"}
    assert answers.form().fields[0].text == ""


def test_without_a_schema_the_input_is_json_and_nothing_is_none() -> None:
    assert Answers(None, {"json:": '{"a": [1]}'}).input == {"a": [1]}
    assert Answers(None, {"json:": " "}).input is None
    assert Answers(None, {"json:": " "}).value is MISSING


def test_a_form_can_be_gone_on_with_as_json_and_back() -> None:
    value = {"customer": "A", "total": 1, "address": {"street": "S", "country": "FR"}}
    as_json = Answers(SCHEMA, filled(value)).form(as_json=True)
    back = Answers(SCHEMA, {as_json.name: as_json.text})

    assert back.input == Answers(SCHEMA, filled(value)).input
    assert back.form().kind == "group"


@pytest.mark.parametrize("entries", [{"count:/tags": "x"}, {"count:/tags": "9" * 30}, {}])
def test_entries_no_page_would_send_do_no_harm(entries: dict[str, str]) -> None:
    answers = Answers(SCHEMA, entries)

    assert len(answers.input.get("tags", [])) <= 1_000
    assert without_item(entries, "/tags/0") is not None
    assert without_item(entries, "nonsense") == entries


def test_until_it_is_sent_an_empty_field_is_not_wrong_but_a_mistyped_one_is() -> None:
    entries = {"input:/total": "", "input:/count": "many", "input:/address/street": ""}
    form = Answers(SCHEMA, entries).form(is_sent=False)

    assert [field.pointer for field in form.everything() if field.problem] == ["/count"]
