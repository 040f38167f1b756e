"""
Who is there, who is in a step, who waits, and how it all ends: the branches of one invocation.

Rules of this room:

* A step is *open* while its function runs. Nothing is decided meanwhile.
* Who cannot go on yet waits *with us*; `looking` lets one go on after the other.
* The outcome is decided before anything is unwound: then what user code does with `Suspend`, which
  is raised where it waits, cannot change it. What waits elsewhere is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakSet

from kit.execution.branch import Branch, State, Task
from kit.execution.looking import Looking, Stuck
from kit.execution.tasks import context_of, look_at, owner, strangers, watch
from kit.execution.undisturbed import Undisturbed
from kit.execution.unwinding import unwind
from kit.model.signals import Suspend

_SWALLOWS_ALLOWED = 20


def _nothing(*args: object) -> None:
    """Neither sleeps nor says anything."""


class Gate:
    """
    The branches of one invocation, each in a task of its own.

    *go_on* lets the next one go on and tells whether there is one; *stuck* is called when nobody
    can, and tells whether somebody can now.
    """

    open = 0  # how many are in a step
    held = 0  # how many wait for the end with something that is to be stored first
    is_past_held = False  # by now that would have had its effects
    has_raised = False  # a failure was raised past what is held
    ended = False  # the handler has returned or raised
    is_ending = False  # nobody is to begin anything more
    over = False  # the outcome is decided: nobody goes on
    is_broken = False
    is_plain = False
    thread: int | None = None  # of a plain handler
    all_wait = False  # … and its own threads wait for each other
    has_strangers = False  # branches that nobody sees move
    from_handler = 0  # how many wait with us in the thread of a plain handler
    was_busy = False  # somebody waited for something from outside, which takes its time
    quiet = 0  # turns of the loop in which no branch has moved between steps
    kept: tuple[object, ...] = ()  # what else holds on to what branches hold
    _unseen: WeakSet[Task] | None = None  # what has ended, and may yet be looked at
    _swallowed = 0
    _handler: Branch | None = None
    _looking: Looking | None = None

    def __init__(self, go_on: Callable[[], bool], stuck: Callable[[Stuck], bool]) -> None:
        self.loop = asyncio.get_running_loop()
        self.decided: asyncio.Future[None] = self.loop.create_future()
        self.branches: dict[Task, Branch] = {}
        self.waits: dict[Branch, asyncio.Future[Any]] = {}
        self._go_on, self._stuck = go_on, stuck
        self.asleep_for: Callable[[], float | None] = _nothing
        self.say: Callable[[bool, Iterable[Branch]], None] = _nothing

    def begin(self, handler: Branch, *, is_plain: bool) -> asyncio.Task[Any]:
        """Begin *handler* as the task that all others come from; a plain one runs in a thread."""
        watch(self.loop)
        self.is_plain, self._handler = is_plain, handler
        # no factory is asked: it might run it at once, or wrap it
        self.main = asyncio.Task(handler, loop=self.loop, context=context_of(self))
        handler.has_asked = True
        self.begins(self.main)
        return self.main

    def begins(self, task: Task) -> Branch:
        """Note a task that belongs to the invocation."""
        branch = self.branches.get(task)
        if branch is None:
            runs: Any = task.get_coro()
            is_driven = isinstance(runs, Branch)
            branch = runs if is_driven else Branch(runs, self, is_driven=False)
            self.branches[task] = branch
            self.has_strangers = self.has_strangers or not is_driven
            task.add_done_callback(self._task_ended)
        return branch

    def finds_strangers(self) -> bool:
        """Note those that belong to it and that nobody has told of; tell whether there are any."""
        return bool([self.begins(each) for each in strangers(self, self.branches)])

    def enter(self) -> Branch:
        """Note that the running task asks for something, and return its branch."""
        task = asyncio.current_task()
        if task is None:
            msg = "a step was asked for outside of any task; await it"
            raise RuntimeError(msg)
        branch = self.branches.get(task) or self.begins(task)
        branch.has_asked = True
        return branch

    @property
    def is_alone(self) -> bool:
        """Whether only the running task can ask for anything."""
        return len(self.branches) == (2 if self.is_plain else 1)

    @property
    def coroutines(self) -> list[object]:
        """What the tasks of the invocation run."""
        return [branch.coroutine for branch in self.branches.values()]

    @property
    def is_quick(self) -> bool:
        """Whether the running task is the handler's only one, and may go on at once."""
        if len(self.branches) != 1 or self.over or self.is_broken or self.is_plain:
            return False
        return asyncio.current_task() in self.branches  # an eager one is not there yet

    def _task_ended(self, task: Task) -> None:
        branch = self.branches.pop(task)
        if self.over or branch is self._handler:
            look_at(task)
        else:
            self._unseen = self._unseen or WeakSet()
            self._unseen.add(task)
        if branch is self._handler:
            self.ended = self.is_ending = True
            if not self.open:
                self.decide()
        elif self.waits:
            self.stir()

    async def wait(self, future: asyncio.Future[Any]) -> None:
        """Wait for *future*, which `go_on` settles."""
        branch = self.enter()
        is_from_handler = self.is_plain and owner.get() is self
        self.from_handler += is_from_handler
        self.waits[branch] = future
        branch.state = State.WAITING
        self.stir()
        try:
            await future
        finally:
            self.quiet = 0
            branch.state = State.BETWEEN_STEPS
            del self.waits[branch]
            self.from_handler -= is_from_handler

    async def hold(self) -> None:
        """
        Wait for the end of the invocation, with something that is to be stored first.

        Being cancelled does not count, since at a replay the answer comes before that; unless a
        failure that was recorded after it has been raised already.
        """
        self.held += 1
        await self.wait(Undisturbed(lambda: self.over or self.has_raised))

    async def stay(self, until: asyncio.Future[Any] | None = None) -> None:
        """Wait for the end of the invocation; return only if *until* is settled."""
        if self.over and self._swallowed < _SWALLOWS_ALLOWED:
            self._swallowed += 1
            await asyncio.sleep(0)
            raise Suspend
        await self.wait(until or self.loop.create_future())

    def waits_outside(self, branch: Branch) -> None:
        """Note that *branch* waits, between steps, for a future that is not ours."""
        if self.is_decided:
            return
        looking = self.looking
        self.was_busy = self.was_busy or looking.is_outside(branch)
        looking.watch.begin()

    def opens(self, branch: Branch) -> State:
        """Note that *branch* is in something that is waited for; return where it was."""
        was, branch.state = branch.state, State.OPEN
        self.open += 1
        return was

    def closes(self, branch: Branch, was: State) -> None:
        """Note that *branch* is in that no more, but where it *was*."""
        self.open -= 1
        branch.state = was
        if self.waits:
            self.stir()
        if not self.open and (self.ended or self.is_broken):
            self.decide()

    def breaks(self) -> None:
        """Let the outcome be decided as soon as nothing is open, whoever goes on."""
        self.is_broken = True
        if not self.open:
            self.decide()

    def stir(self) -> None:
        """See whether anybody can go on, since something has changed."""
        if not self.over:
            self.looking.stir()

    @property
    def looking(self) -> Looking:
        """What looks who can go on; most runs have one branch, and need none."""
        if self._looking is None:
            self._looking = Looking(self, self._go_on, self._stuck)
        return self._looking

    def decide(self, error: Exception | None = None) -> None:
        """Let the outcome be decided now; it is *error* if nobody can tell who is to go on."""
        self.is_ending = True
        if self.decided.done():
            return
        if error is None:
            self.decided.set_result(None)
        else:
            self.decided.set_exception(error)

    @property
    def is_idle(self) -> bool:
        """Whether nobody is in a step, or waits with us."""
        return not (self.open or self.waits or self.ended)

    @property
    def is_in_vain(self) -> bool:
        """Whether everybody waits for what none of them, and nobody else, can bring about."""
        return self.looking.is_in_vain

    def stands(self, is_in_vain: bool) -> None:
        """Say that it waits so, or has for long."""
        self.looking.say(is_in_vain)

    @property
    def is_busy(self) -> bool:
        """Whether nothing is left but branches that are busy elsewhere."""
        return self._looking is not None and self._looking.busy_since is not None

    @property
    def busy_for(self) -> float:
        """For how many seconds nothing has been left but branches that are busy elsewhere."""
        since = self._looking.busy_since if self._looking else None
        return 0.0 if since is None else self.loop.time() - since

    @property
    def is_decided(self) -> bool:
        """Whether the outcome is decided, or about to be."""
        return self.over or self.decided.done()

    async def close(self, grace: float) -> None:
        """Let nobody go on, and unwind what is left of the handler; see `unwinding`."""
        self.over = True
        self.decide()  # if it is cut short
        if self._looking is not None:
            self._looking.end()
        if self.unfinished:
            look_at(*(self._unseen or ()))
            await unwind(self, grace)

    def let_go(self) -> None:
        """Hold on to nobody, since all have ended; who comes late gets no further than `stay`."""
        self.kept = ()
        self._handler = self._looking = None
        del self.main, self._go_on, self._stuck, self.say, self.asleep_for

    @property
    def unfinished(self) -> dict[Task, Branch]:
        """The tasks that have asked for something and have not ended; the handler's is one."""
        if not self.branches:  # as is usual
            return {}
        asked = ((task, branch) for task, branch in self.branches.items() if branch.has_asked)
        return {task: branch for task, branch in asked if not task.done()}

    @property
    def is_listened_to(self) -> bool:
        """Whether `Suspend` has not been swallowed so often that there is no point in waiting."""
        return self._swallowed < _SWALLOWS_ALLOWED

    def raise_suspend(self) -> None:
        """Raise `Suspend` in all that waits with us."""
        for future in self.waits.values():
            if not future.done():
                future.set_exception(Suspend())

    def is_in_thread(self, task: Task) -> bool:
        """Tell whether nobody can see where *task* is."""
        return self.is_plain and task is self.main
