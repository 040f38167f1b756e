"""Which workflow answers to a name. Names are compared without regard to case, as Netlify does."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from kit.model.errors import WorkflowNotFoundError
from kit.model.workflow import Workflow

AnyWorkflow = Workflow[..., Any]
"""A workflow whose handler's parameters and result do not matter here."""


class Router:
    """
    The workflows of a project, by the name of the event that starts each.

    Raises:
        ValueError: If two of them have one name.
    """

    __slots__ = ("_workflows",)

    def __init__(self, workflows: Iterable[AnyWorkflow] = ()) -> None:
        self._workflows: dict[str, AnyWorkflow] = {}
        for workflow in workflows:
            self._add(workflow)

    def find(self, name: str) -> AnyWorkflow | None:
        """Return the workflow called *name*, in any case, or None."""
        return self._workflows.get(name.lower())

    def get(self, name: str) -> AnyWorkflow:
        """
        Return the workflow called *name*, in any case.

        Raises:
            WorkflowNotFoundError: If there is none; it lists the known names and the nearest one.
        """
        workflow = self.find(name)
        if workflow is None:
            raise WorkflowNotFoundError(_not_found(name, self.names()), known=self.names())
        return workflow

    def names(self) -> tuple[str, ...]:
        """Return every name as it was given, sorted."""
        return tuple(sorted(workflow.event_name for workflow in self._workflows.values()))

    def _add(self, workflow: AnyWorkflow) -> None:
        name = workflow.event_name
        known = self._workflows.setdefault(name.lower(), workflow)
        if known is not workflow:
            msg = (
                f"two workflows are called {name!r} (names are compared without regard to case);"
                " give one of them another name: define_workflow(name=…)"
            )
            raise ValueError(msg)


def _not_found(name: str, known: tuple[str, ...]) -> str:
    if not known:
        return f"no workflow is called {name!r}: there are none"
    spelled = {one.lower(): one for one in known}
    nearest = difflib.get_close_matches(name.lower(), spelled, n=1)
    hint = f"; did you mean {spelled[nearest[0]]!r}?" if nearest else "."
    return f"no workflow is called {name!r}{hint} There are: {', '.join(known)}"
