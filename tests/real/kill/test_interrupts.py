"""What a user meets who interrupts a run, or has two terminals."""

import re
import signal
import time

import pytest

from tests.real.kill.project import ECHO, PATIENCE, Project, wait_for

STAYS = """
@define_workflow
async def stays(input, context):
    await context.step.run("before", note, "before")
    await context.step.sleep("nap", "1 hour")
"""


def test_a_second_process_starts_looks_and_stops_while_a_first_one_drives(
    project: Project,
) -> None:
    project.workflow("stays", STAYS)
    project.workflow("echo", ECHO)
    first = project.start("-m", "kit.cli", "run", "stays")
    wait_for(lambda: "before" in project.log(), first)
    stays = project.run().id
    second = project.kit("run", "echo", "--data", '"abc"')
    assert (second.returncode, second.stdout) == (0, "3\n")
    assert stays in project.kit("runs").stdout
    stop = project.kit("runs", "stop", stays)
    assert re.search(f"asked process {first.pid}|is cancelled", stop.stderr)
    out, err = first.communicate(timeout=PATIENCE)
    assert first.returncode == 1
    assert out == ""
    assert "was cancelled" in err
    assert "echo" not in err, "what it executed for the other is none of its output"


def test_ctrl_c_ends_a_sleeping_run_at_once_and_keeps_it(project: Project) -> None:
    project.workflow("stays", STAYS)
    process = project.start("-m", "kit.cli", "run", "stays")
    wait_for(lambda: "before" in project.log(), process)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert f"Continue: kit runs resume {project.run().id}" in err
    assert "Traceback" not in err
    assert not project.run().status.is_final


INTERRUPTED = """
async def interrupts(at):
    if not Path("go").exists() and at == "PLACE":
        raise KeyboardInterrupt

@define_workflow
async def interrupted(input, context):
    await context.step.run("before", note, "before")
    await asyncio.gather(
        context.step.run("beside", note, "beside"), context.step.run("within", interrupts, "step")
    )
    await interrupts("handler")
    return "went"
"""


@pytest.mark.parametrize("place", ["step", "handler"])
def test_a_keyboard_interrupt_out_of_async_code_is_taken_for_ctrl_c_and_keeps_the_run(
    project: Project, place: str
) -> None:
    project.workflow("interrupted", INTERRUPTED.replace("PLACE", place))
    first = project.kit("run", "interrupted")
    assert first.returncode == 130
    assert "Traceback" not in first.stderr
    run = project.run()
    assert not run.status.is_final
    assert f"Continue: kit runs resume {run.id}" in first.stderr
    (project.root / "go").touch()
    assert project.kit("runs", "resume", run.id).stdout == '"went"\n'
    assert project.log().count("before") == 1
