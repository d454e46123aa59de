"""Restarts replicas one after another while the others serve.

A replica that is told to stop says so on its last answers, and whoever balances keeps away from it for a
moment (`services.kit.replicas.REST_S`, nginx' fail_timeout). The next one stops only when that moment is over
for the one before, or both would be away at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from compose import scaling
from compose.stack import Stack, StackError

SETTLE_S = 2.5


def names(running: Iterable[str]) -> list[str]:
    """All processes of the services that run more than once, one service after the other.

    Raises `StackError` when every service runs once.
    """
    parts = list(running)
    kinds = [[part for part in parts if scaling.service_of(part) == kind] for kind in scaling.REPLICATED]
    found = [part for several in kinds if len(several) > 1 for part in several]
    if not found:
        raise StackError("nothing runs twice here. Start with: make up WORKERS=2")
    return found


def roll(
    testbed: Stack, say: Callable[[str], None], *, settle: Callable[[float], None] = time.sleep
) -> list[str]:
    """Restarts every replica in turn; their names. Raises `ControlError` when one does not come back."""
    done = names(testbed.rows())
    for name in done:
        began = time.monotonic()
        testbed.control("restart", name)
        say(f"{name:<10} restarted after {time.monotonic() - began:.1f} s")
        settle(SETTLE_S)
    return done
