"""
How often a handler begins anew where it is rehearsed, as `replay: always` does on this machine.

On Netlify, with `store: awl`, every fresh step ends its invocation. Run from the top each time, a
handler of a thousand steps would answer half a million of them. What a rehearsal is to find, a
handler that does not survive a replay, it finds in the first ones.
"""

from __future__ import annotations

from kit.model.delivery import AfterStep

EACH = 64
"""So many steps are followed by a replay each, then every 64th part of what is recorded."""


def after_step(recorded: int, committed: int) -> AfterStep:
    """
    Return what follows a fresh step, in an invocation that began with *recorded* checkpoints.

    *committed* steps of it have been stored already. What a run takes is in proportion to its
    steps: each is answered some 64 times.
    """
    return AfterStep.COMMIT if committed < recorded // EACH else AfterStep.SUSPEND
