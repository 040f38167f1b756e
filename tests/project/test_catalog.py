import pytest

from kit.model.errors import WorkflowNotFoundError
from kit.model.workflow import Workflow
from kit.project.catalog import Router


def made(name: str | None) -> Workflow[..., None]:
    def publish_draft() -> None: ...

    return Workflow(publish_draft, name=name)


def test_a_name_finds_its_workflow_in_any_case() -> None:
    workflow = made("Publish-Draft")
    router = Router([workflow, made("other")])
    assert router.find("publish-draft") is workflow
    assert router.get("PUBLISH-DRAFT") is workflow


def test_a_name_nobody_has_finds_nothing() -> None:
    assert Router().find("publish-draft") is None


def test_a_workflow_without_a_name_answers_to_its_function_in_kebab_case() -> None:
    assert Router([made(None)]).names() == ("publish-draft",)


def test_names_are_sorted_and_spelled_as_given() -> None:
    assert Router([made("b"), made("A")]).names() == ("A", "b")


def test_getting_an_unknown_name_lists_the_known_ones_and_the_nearest() -> None:
    router = Router([made("Publish-Draft"), made("sweep")])
    with pytest.raises(WorkflowNotFoundError) as raised:
        router.get("publish-darft")
    assert raised.value.known == ("Publish-Draft", "sweep")
    assert raised.value.message == (
        "no workflow is called 'publish-darft'; did you mean 'Publish-Draft'?"
        " There are: Publish-Draft, sweep"
    )


def test_a_name_like_no_other_gets_the_list_only() -> None:
    with pytest.raises(WorkflowNotFoundError, match=r"called 'x'\. There are: sweep$"):
        Router([made("sweep")]).get("x")


def test_an_empty_router_says_that_there_are_none() -> None:
    with pytest.raises(WorkflowNotFoundError, match="there are none"):
        Router().get("x")


def test_two_workflows_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two workflows are called 'SWEEP'"):
        Router([made("sweep"), made("SWEEP")])


def test_one_workflow_given_twice_is_still_one() -> None:
    workflow = made("sweep")
    assert Router([workflow, workflow]).names() == ("sweep",)
