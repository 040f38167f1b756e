"""What the commands of `kit runs` share: options, which runs are meant, and what is said of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.reading import open_reader
from kit.cli.screen.terminal import print_json, say
from kit.model.run import RunStatus

if TYPE_CHECKING:
    from kit.cli.site_runs import SiteRuns
    from kit.model.errors import RunError
    from kit.model.run import Run
    from kit.store.sqlite.reader import Reader

RunId = Annotated[
    str, typer.Argument(metavar="ID", help="The run's id, or its beginning.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Local = Annotated[
    bool, typer.Option("--local", help="The runs kept here, though the provider is netlify.")
]
Fast = Annotated[bool, typer.Option("--fast", help="Skip sleeps and waits.")]
_STORED = [each.value for each in RunStatus if each is not RunStatus.UNKNOWN]


def _stored(text: str) -> RunStatus:
    """Return the status *text* if a run can be stored with it: `unknown` is what cannot be read."""
    if text not in _STORED:
        msg = f"{text!r} is not one of {', '.join(_STORED)}"
        raise typer.BadParameter(msg)
    return RunStatus(text)


Statuses = Annotated[
    list[RunStatus] | None,
    typer.Option(
        "--status",
        parser=_stored,
        metavar=f"[{'|'.join(_STORED)}]",
        help="Only runs in this status; may be repeated. failed: gave up.",
    ),
]


def runs_meant(*, local: bool) -> SiteRuns | Reader:
    """
    Return the runs of the site that the settings name, or what reads those kept here.

    Raises:
        ConfigError: If the settings are wrong, or the provider is `netlify` and no site is named.
        StoreError: If the file of those kept here cannot be read.
    """
    from kit.project.config import load

    config = load()
    if local or config.provider == "local":
        return open_reader(config.path)
    from kit.cli.site_runs import SiteRuns
    from kit.client.netlify import site_of

    return SiteRuns(site_of(config))


def reader_here() -> Reader:
    """Return what reads the runs kept here, whatever the provider."""
    from kit.project.config import load

    return open_reader(load().path)


def not_ended(run: Run, message: str) -> RunError:
    """Return the error that says that *run* has not ended, and what that forbids."""
    from kit.model.errors import RunError

    return RunError(message, run_id=run.id, code="RUN_NOT_ENDED")


def answer(reader: Reader, run: Run, said: str, as_json: bool) -> None:
    """Say what was done about *run*, and print it if JSON is wanted."""
    from kit.cli.screen.ending import run_json

    say(said)
    if as_json:
        print_json(run_json(reader, run))
