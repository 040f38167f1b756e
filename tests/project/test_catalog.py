import pytest

from kit.model.errors import DiscoveryError, WorkflowNotFoundError
from kit.model.workflow import AnyWorkflow, Workflow
from kit.project.catalog import Catalog
from kit.project.discovery import Discovery


def made(name: str | None) -> Workflow[..., None]:
    def publish_draft() -> None: ...

    return Workflow(publish_draft, name=name)


def holding(*workflows: AnyWorkflow) -> Catalog:
    catalog = Catalog()
    for workflow in workflows:
        catalog.admit(workflow)
    return catalog


def test_a_name_finds_its_workflow_in_any_case() -> None:
    workflow = made("Publish-Draft")
    catalog = holding(workflow, made("other"))
    assert catalog.find("publish-draft") is workflow
    assert catalog.get("PUBLISH-DRAFT") is workflow


def test_a_name_nobody_has_finds_nothing() -> None:
    assert Catalog().find("publish-draft") is None


def test_a_workflow_without_a_name_answers_to_its_function_in_kebab_case() -> None:
    assert holding(made(None)).names() == ("publish-draft",)


def test_names_are_sorted_and_spelled_as_given() -> None:
    catalog = holding(made("b"), made("A"))
    assert catalog.names() == ("A", "b")
    assert [each.name for each in catalog.workflows()] == ["A", "b"]


def test_getting_an_unknown_name_lists_the_known_ones_and_the_nearest() -> None:
    catalog = holding(made("Publish-Draft"), made("sweep"))
    with pytest.raises(WorkflowNotFoundError) as raised:
        catalog.get("publish-darft")
    assert raised.value.known == ("Publish-Draft", "sweep")
    assert raised.value.message == (
        "no workflow is called 'publish-darft'; did you mean 'Publish-Draft'?"
        " There are: Publish-Draft, sweep"
    )


def test_a_name_like_no_other_gets_the_list_only() -> None:
    with pytest.raises(WorkflowNotFoundError, match=r"called 'x'\. There are: sweep$"):
        holding(made("sweep")).get("x")


def test_an_empty_catalog_says_that_there_are_none() -> None:
    with pytest.raises(WorkflowNotFoundError, match="there are none"):
        Catalog().get("x")


def test_what_is_admitted_comes_before_what_was_found_by_file() -> None:
    found, admitted = made("sweep"), made("SWEEP")
    catalog = Catalog(lambda: Discovery({"sweep": found}, {"sweep": "sweep.py"}))
    assert catalog.find("sweep") is found
    catalog.admit(admitted)
    assert catalog.find("sweep") is admitted
    assert catalog.workflows() == [admitted]
    assert catalog.paths == {"sweep": "sweep.py"}


def test_files_are_looked_for_once_and_only_when_somebody_asks() -> None:
    looked = []

    def discover() -> Discovery:
        looked.append(1)
        return Discovery()

    catalog = Catalog(discover)
    catalog.admit(made("sweep"))
    assert catalog.find("sweep")
    assert looked == []
    assert catalog.find("other") is None
    assert catalog.names() == ("sweep",)
    assert catalog.errors == ()
    assert looked == [1]


def test_getting_a_workflow_whose_file_is_wrong_raises_the_files_own_error() -> None:
    error = DiscoveryError("sweep.py is wrong", path="sweep.py")
    catalog = Catalog(lambda: Discovery(errors=(error,), broken={"sweep": error}))
    for _ in range(2):
        with pytest.raises(DiscoveryError) as raised:
            catalog.get("Sweep")
        assert raised.value is error
    assert catalog.find("sweep") is None
    assert catalog.errors == (error,)
