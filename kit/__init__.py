"""
Durable Python workflows on Netlify, on your laptop and from anywhere.

Names are loaded when they are first used, so that `import kit` costs next to nothing.
"""

from __future__ import annotations

from kit.version import __version__ as __version__

TYPE_CHECKING = False  # as typing has it, which takes a third of all that `import kit` needs

if TYPE_CHECKING:
    from kit.client.api import (
        defer_workflow,
        get_workflow_run,
        list_runs,
        list_workflows,
        resume,
        run_workflow,
        send_event,
        send_events,
    )
    from kit.client.async_workflow_client import AsyncWorkflowClient
    from kit.client.definition import define_workflow
    from kit.client.handle import WorkflowRun
    from kit.client.sending import Sent
    from kit.client.workflow_client import WorkflowClient
    from kit.execution.context import Context, PlainContext, PlainStep, Step
    from kit.model.errors import (
        ArgumentError,
        BuildError,
        ConfigError,
        ConnectionFailedError,
        DiscoveryError,
        DuplicateWorkflowError,
        LoopDetectedError,
        NotSupportedError,
        PayloadError,
        RejectedError,
        ReplayError,
        RunCancelled,
        RunError,
        RunExistsError,
        RunFailed,
        RunNotFoundError,
        RunTimedOut,
        SendError,
        StepError,
        StepUsageError,
        StoreError,
        StoreInUseError,
        WorkflowDisabledError,
        WorkflowError,
        WorkflowImportError,
        WorkflowNotFoundError,
    )
    from kit.model.run import Run, RunDetails, RunStatus
    from kit.model.signals import DoNotRetry, RetryAfter
    from kit.model.validation import read_validated_payload
    from kit.model.workflow import Workflow

_HOMES = {
    "kit.client.api": (
        "defer_workflow get_workflow_run list_runs list_workflows resume run_workflow send_event"
        " send_events"
    ),
    "kit.client.async_workflow_client": "AsyncWorkflowClient",
    "kit.client.workflow_client": "WorkflowClient",
    "kit.client.definition": "define_workflow",
    "kit.client.handle": "WorkflowRun",
    "kit.client.sending": "Sent",
    "kit.model.run": "Run RunDetails RunStatus",
    "kit.execution.context": "Context PlainContext PlainStep Step",
    "kit.model.signals": "DoNotRetry RetryAfter",
    "kit.model.validation": "read_validated_payload",
    "kit.model.workflow": "Workflow",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "ArgumentError",
    "AsyncWorkflowClient",
    "BuildError",
    "ConfigError",
    "ConnectionFailedError",
    "Context",
    "DiscoveryError",
    "DoNotRetry",
    "DuplicateWorkflowError",
    "LoopDetectedError",
    "NotSupportedError",
    "PayloadError",
    "PlainContext",
    "PlainStep",
    "RejectedError",
    "ReplayError",
    "RetryAfter",
    "Run",
    "RunCancelled",
    "RunDetails",
    "RunError",
    "RunExistsError",
    "RunFailed",
    "RunNotFoundError",
    "RunStatus",
    "RunTimedOut",
    "SendError",
    "Sent",
    "Step",
    "StepError",
    "StepUsageError",
    "StoreError",
    "StoreInUseError",
    "Workflow",
    "WorkflowClient",
    "WorkflowDisabledError",
    "WorkflowError",
    "WorkflowImportError",
    "WorkflowNotFoundError",
    "WorkflowRun",
    "defer_workflow",
    "define_workflow",
    "get_workflow_run",
    "list_runs",
    "list_workflows",
    "read_validated_payload",
    "resume",
    "run_workflow",
    "send_event",
    "send_events",
]


def __getattr__(name: str) -> object:
    """Load *name* from its home (PEP 562)."""
    if name not in __all__:
        msg = f"module 'kit' has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOME.get(name, "kit.model.errors")), name)
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
