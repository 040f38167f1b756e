"""
Start workflows, send events, and ask what became of them: the functions users call.

Inside a handler they belong to the run: what they send has an id that depends on the run and
travels with its checkpoints, so a replay does not send it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.model.running import current, promises

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Future
    from datetime import datetime

    from kit.client.handle import WorkflowRun
    from kit.client.provider import Provider, Receipt
    from kit.client.sending import AnyEvent, OnConflict, SendOptions, Sent
    from kit.model.annotations import Encoded
    from kit.model.duration import Duration
    from kit.model.event import Event
    from kit.model.run import Run
    from kit.model.workflow import AnyWorkflow

# what sends is imported when something is sent: a file that defines a workflow names these
# functions, and need not wait for asyncio


@promises
async def run_workflow(
    workflow: str | AnyWorkflow,
    input: Any = None,
    *,
    id: str | None = None,
    delay: Duration | None = None,
    delay_until: datetime | None = None,
    priority: int | None = None,
    on_conflict: OnConflict = "keep",
) -> WorkflowRun:
    """
    Start a workflow: send the event of its name. The run is accepted when this returns.

    *id* is an idempotency key: the same key starts a workflow once, and the handle's `existed`
    tells whether it had. What the first start was given counts; if this one is given other data,
    that is logged, or with *on_conflict* `"error"` refused. On Netlify that is known only of runs
    with a record, and only with `"error"`, which asks the site first. *priority* is within ±50.

    Raises:
        RunExistsError: If *on_conflict* says so, and *id* has started a run with other data.
        NotSupportedError: If it says so, and the site has no runs API that could tell.
        WorkflowNotFoundError: If there is no such workflow; it lists the known names.
        PayloadError: If *input* is invalid, before anything is sent.
        SendError: If the event did not get through.
    """
    from kit.client.handle import WorkflowRun

    source, name, data = _checked(workflow, input, on_conflict)
    options = _options(id, delay, delay_until, priority)
    event = _event(name, data, options)
    if current.get() is not None and id is None:
        event = await _send_from_run(event, options)
        return WorkflowRun(event.id, name, source)
    native, existed, _ = await _send(source, event, id, on_conflict)
    return WorkflowRun(event.id, name, source, native=native, existed=existed)


@promises
async def defer_workflow(
    workflow: str | AnyWorkflow,
    input: Any = None,
    *,
    id: str | None = None,
    delay: Duration | None = None,
    delay_until: datetime | None = None,
    priority: int | None = None,
    on_conflict: OnConflict = "keep",
) -> WorkflowRun:
    """
    Start a workflow without waiting until it is accepted; see `run_workflow`.

    Sending goes on in the background and ends before the process does. If it fails, that is
    logged, and raised by whatever the handle is asked.

    Raises:
        WorkflowNotFoundError, PayloadError: As `run_workflow`, at once.
    """
    if current.get() is not None:  # in a handler, sending is part of the run
        return await run_workflow(
            workflow,
            input,
            id=id,
            delay=delay,
            delay_until=delay_until,
            priority=priority,
            on_conflict=on_conflict,
        )
    from kit.client import background
    from kit.client.handle import WorkflowRun

    source, name, data = _checked(workflow, input, on_conflict)
    event = _event(name, data, _options(id, delay, delay_until, priority))
    sending = background.defer(_send(source, event, id, on_conflict))
    sending.add_done_callback(_log_failure)
    return WorkflowRun(event.id, name, source, sending=sending)


async def get_workflow_run(id: str) -> WorkflowRun | None:
    """
    Return a handle on a run; None if there is none, or the provider cannot tell.

    On Netlify a run is there from its first delivery on, if the site has the runs API.
    """
    from kit.client.default import provider
    from kit.client.handle import WorkflowRun

    source = provider()
    run = await source.find(id)
    return None if run is None else WorkflowRun(run.id, run.workflow, source, native=run)


async def list_runs(
    *,
    workflow: str | AnyWorkflow | None = None,
    status: str | Iterable[str] | None = None,
    limit: int = 50,
) -> list[Run]:
    """
    Return the latest runs, newest first: of one *workflow*, in one *status* or several, if given.

    On Netlify a run is there from its first delivery on, and its input, its result and the
    traceback of its error are left out; `get_workflow_run` gives a handle, whose `details()` has
    them.

    Raises:
        NotSupportedError: If the provider cannot tell: a site without the runs API.
        ArgumentError: If there is no such status, or *limit* is no number from 1 up.
    """
    from kit.client.default import provider
    from kit.client.listing import wanted

    return await provider().latest(**wanted(workflow, status, limit))


async def resume() -> None:
    """
    Take up every unfinished run kept on this machine, whoever has started it.

    For a program that is there to execute runs: call it once when a web application or a worker
    starts. Without it a program executes what it starts or waits for, and leaves the rest alone. Of
    several processes that resume, one executes; when it ends, another goes on. On Netlify runs go
    on by themselves, and this does nothing.

    Raises:
        StoreError: If the run file cannot be used.
    """
    from kit.client.default import provider

    await provider().resume()


async def list_workflows() -> list[AnyWorkflow]:
    """Return the workflows defined in this project, by name."""
    from kit.client.default import default

    return default().catalog.workflows()


@promises
async def send_event(
    name: str,
    data: Any = None,
    *,
    id: str | None = None,
    delay: Duration | None = None,
    delay_until: datetime | None = None,
    priority: int | None = None,
) -> str:
    """
    Send an event and return its id; whatever workflow answers to its name is run.

    Raises:
        PayloadError: If *data* would not arrive unchanged.
        SendError: If the event did not get through.
    """
    from kit.client.default import provider

    options = _options(id, delay, delay_until, priority)
    event = _event(name, data, options)
    if current.get() is not None and id is None:
        return (await _send_from_run(event, options)).id
    await provider().send(event, key=id)
    return event.id


@promises
async def send_events(events: Sequence[AnyEvent]) -> list[Sent]:
    """
    Send several events, and tell of each whether it went; none spoils the others.

    An event is a pair of name and data, or a mapping with the arguments of `send_event`.
    """
    from kit.client.default import provider
    from kit.client.sending import make_events, paired

    made, events_to_send = make_events(events)
    return paired(made, await provider().send_all(events_to_send))


def _checked(
    workflow: str | AnyWorkflow, input: Any, on_conflict: OnConflict
) -> tuple[Provider, str, Encoded]:
    """Return where the workflow is started, the name of its event, and its valid input."""
    from kit.client.default import default
    from kit.client.sending import check_on_conflict, checked_input

    source, catalog = default()
    check_on_conflict(on_conflict)
    name, data = checked_input(catalog, workflow, input, needs_definition=source.needs_definition)
    return source, name, data


def _event(name: str, data: Any, options: SendOptions) -> Event:
    from kit.client.sending import make_event

    return make_event(name, data, options)


async def _send(
    source: Provider, event: Event, key: str | None, on_conflict: OnConflict
) -> Receipt:
    from kit.client.sending import note_conflict

    receipt = await source.send(event, key=key, on_conflict=on_conflict)
    note_conflict(event, receipt, on_conflict)
    return receipt


async def _send_from_run(event: Event, options: SendOptions) -> Event:
    """Send *event* as the running handler's: with the id that a replay will give it again."""
    from kit.model.event import when_asked

    running = current.get()
    assert running is not None  # noqa: S101 - the callers have looked
    asked = when_asked(options.get("delay"), options.get("delay_until"))
    return await running[0].send(event, asked)


def _options(
    id: str | None, delay: Duration | None, delay_until: datetime | None, priority: int | None
) -> SendOptions:
    return {"id": id, "delay": delay, "delay_until": delay_until, "priority": priority}


def _log_failure(sending: Future[Any]) -> None:
    error = None if sending.cancelled() else sending.exception()
    if error is not None:
        import logging

        from kit.model.errors import SendError

        event_id = error.event_id if isinstance(error, SendError) else None
        logging.getLogger("kit").error(
            "a deferred event was not sent: %s (event id %s)", error, event_id
        )
