"""
Every error the kit raises, split by who must act.

    WorkflowError
    ├─ ConfigError              the settings are wrong
    ├─ DiscoveryError           a workflow file is wrong (.path)
    │  └─ WorkflowImportError, DuplicateWorkflowError
    ├─ WorkflowNotFoundError    nobody answers to that name
    ├─ WorkflowDisabledError    workflow: false
    ├─ NotSupportedError        this provider cannot do that
    ├─ ArgumentError            a name, id, delay or the like cannot be; a ValueError, too
    ├─ PayloadError             input or result is invalid, or would not survive JSON
    ├─ SendError                the event did not get through (.event_id)
    │  └─ ConnectionFailedError, RejectedError (.status_code), LoopDetectedError
    ├─ BuildError               the bundle cannot work
    ├─ StoreError               the file that keeps runs cannot be used (.path)
    │  └─ StoreInUseError
    └─ RunError                 the run ended badly
       ├─ StepError             (.step_id)
       ├─ StepUsageError        steps are used in a way that cannot work (.step_id)
       ├─ ReplayError           the code no longer fits what the run recorded
       ├─ RunFailed, RunCancelled, RunTimedOut
       └─ RunNotFoundError, RunExistsError

What handlers raise on purpose is in `signals`. A message says what happened, with which value, and
what to do. Secrets never get into one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class WorkflowError(Exception):
    """
    Something went wrong in the kit's own domain. Never raised itself; catch it to catch all.

    `code` is stable and meant for programs, `http_status` is a hint for a server that has to
    answer with something, `details` is JSON-ready data.
    """

    default_code: ClassVar[str] = "WORKFLOW_ERROR"
    default_status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        http_status: int | None = None,
        details: Mapping[str, Any] | None = None,
        provider: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.http_status = http_status or self.default_status
        self.details = dict(details or {})
        self.provider = provider

    def to_json(self) -> dict[str, Any]:
        """Return the error as JSON-ready data, without its cause."""
        data: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            data["details"] = self.details
        if self.provider:
            data["provider"] = self.provider
        return {"error": data}


class ConfigError(WorkflowError):
    """A setting is wrong or missing; the message says which, where it came from, what to do."""

    default_code = "CONFIG_INVALID"


class DiscoveryError(WorkflowError):
    """A workflow file is wrong. `path` is the file, relative to the project."""

    default_code = "WORKFLOW_DEFINITION_INVALID"

    def __init__(self, message: str, *, path: str, **extra: Any) -> None:
        super().__init__(message, **extra)
        self.path = path
        self.details.setdefault("path", path)


class WorkflowImportError(DiscoveryError):
    """A workflow file could not be imported. `traceback_text` is the file's own traceback."""

    default_code = "WORKFLOW_IMPORT_FAILED"

    def __init__(self, message: str, *, path: str, traceback_text: str = "", **extra: Any) -> None:
        super().__init__(message, path=path, **extra)
        self.traceback_text = traceback_text


class DuplicateWorkflowError(DiscoveryError):
    """Two files define workflows of one name; names are compared without regard to case."""

    default_code = "WORKFLOW_DUPLICATE"


class WorkflowNotFoundError(WorkflowError):
    """No workflow answers to the name. `known` holds the names that exist."""

    default_code = "WORKFLOW_DEFINITION_NOT_FOUND"
    default_status = 404

    def __init__(self, message: str, *, known: Iterable[str] = (), **extra: Any) -> None:
        super().__init__(message, **extra)
        self.known = tuple(known)


class WorkflowDisabledError(WorkflowError):
    """A workflow was to be started although the settings say `workflow: false`."""

    default_code = "WORKFLOW_DISABLED"
    default_status = 400


class NotSupportedError(WorkflowError):
    """The provider cannot do what was asked; the message says what would make it work."""

    default_status = 400

    def __init__(self, capability: str, provider: str, remedy: str) -> None:
        super().__init__(
            f"{capability} is not supported by the provider {provider!r}. {remedy}",
            code=f"NOT_SUPPORTED_{capability.upper().replace(' ', '_')}",
            provider=provider,
        )


class ArgumentError(WorkflowError, ValueError):
    """A name, an id, a delay or the like can be none; the message says why."""

    default_code = "ARGUMENT_INVALID"
    default_status = 400


class PayloadError(WorkflowError):
    """Data is invalid or would not survive JSON; the message names the place within it."""

    default_code = "VALIDATION_ERROR"
    default_status = 400

    def __init__(self, message: str, *, issues: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message, details={"issues": issues} if issues else None)
        self.issues = issues or []


class SendError(WorkflowError):
    """An event did not get through. `event_id` is the id it had, or would have had."""

    default_code = "SEND_FAILED"
    default_status = 502

    def __init__(self, message: str, *, event_id: str | None = None, **extra: Any) -> None:
        super().__init__(message, **extra)
        self.event_id = event_id


class ConnectionFailedError(SendError):
    """
    The site could not be reached, did not answer, or stayed busy to the last try.

    `may_have_arrived` says whether the event may be there all the same; `status_code` is what a
    busy site answered.
    """

    default_code = "SEND_CONNECTION_FAILED"

    def __init__(
        self,
        message: str,
        *,
        may_have_arrived: bool = False,
        status_code: int | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(message, **extra)
        self.may_have_arrived = may_have_arrived
        self.status_code = status_code


class RejectedError(SendError):
    """The site answered, but not with an acknowledgement. `status_code` is what it said."""

    default_code = "SEND_REJECTED"

    def __init__(self, message: str, *, status_code: int, **extra: Any) -> None:
        super().__init__(message, **extra)
        self.status_code = status_code


class LoopDetectedError(SendError):
    """A chain of events that start each other has reached the limit, here or on the platform."""

    default_code = "SEND_LOOP_DETECTED"
    default_status = 508


class BuildError(WorkflowError):
    """The bundle cannot work once deployed; found while building."""

    default_code = "BUILD_FAILED"


class StoreError(WorkflowError):
    """The file that keeps the runs cannot be used. `path` is that file."""

    default_code = "STORE_UNUSABLE"

    def __init__(self, message: str, *, path: str, **extra: Any) -> None:
        super().__init__(message, **extra)
        self.path = path


class StoreInUseError(StoreError):
    """Another process runs an engine on the file. `pid` is that process, 0 if unknown."""

    default_code = "STORE_IN_USE"

    def __init__(self, message: str, *, path: str, pid: int = 0) -> None:
        super().__init__(message, path=path)
        self.pid = pid


class RunError(WorkflowError):
    """A run ended badly, or cannot be carried on. `run_id` is the run, where known."""

    default_code = "RUN_FAILED"

    def __init__(self, message: str, *, run_id: str | None = None, **extra: Any) -> None:
        super().__init__(message, **extra)
        self.run_id = run_id


class StepError(RunError):
    """A step failed with an exception that JSON cannot carry; it stands for that exception."""

    default_code = "STEP_FAILED"

    def __init__(self, message: str, *, step_id: str | None = None, **extra: Any) -> None:
        super().__init__(message, **extra)
        self.step_id = step_id


class StepUsageError(RunError):
    """A handler uses steps in a way that cannot work: a repeated id, an id too long, …"""

    default_code = "STEP_MISUSED"

    def __init__(self, message: str, *, step_id: str) -> None:
        super().__init__(message, details={"stepId": step_id[:100]})
        self.step_id = step_id


class ReplayError(RunError):
    """A replay asks for steps in a way the run's checkpoints cannot answer."""

    default_code = "REPLAY_MISMATCH"


class RunFailed(RunError):
    """The run gave up and is a dead letter. `error` is what its last attempt failed with."""

    def __init__(self, message: str, *, error: Mapping[str, Any] | None = None, **x: Any) -> None:
        super().__init__(message, **x)
        self.error = dict(error or {})


class RunCancelled(RunError):
    """The run was stopped before it ended."""

    default_code = "RUN_CANCELLED"


class RunTimedOut(RunError):
    """The run took longer than its workflow's `timeout`."""

    default_code = "RUN_TIMED_OUT"


class RunExistsError(RunError):
    """An id has started a run before, with other data; asked for with `on_conflict="error"`."""

    default_code = "RUN_EXISTS"
    default_status = 409


class RunNotFoundError(RunError):
    """No run has the id."""

    default_code = "RUN_NOT_FOUND"
    default_status = 404
