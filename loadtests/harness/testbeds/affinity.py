"""Processors of their own for the load generator and for the system, where there are enough.

With four or more, k6 runs on a quarter of them and everything else on the rest: neither can take the
other's time. With fewer they share, and the report says so.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtests.harness.testbeds import processes
from loadtests.harness.testbeds.processes import Watched

OWN_CORES = 4  # from here on the generator gets processors of its own
GENERATOR_SHARE = 4  # one in so many


@dataclass(frozen=True, slots=True)
class Cores:
    """Who may run where. ``apart`` is false where both share all."""

    system: frozenset[int]
    generator: frozenset[int]

    @property
    def apart(self) -> bool:
        return not self.system & self.generator

    @property
    def all(self) -> frozenset[int]:
        return self.system | self.generator


def split(allowed: Iterable[int]) -> Cores:
    """The last quarter of the processors for the generator, the others for the system."""
    cores = sorted(allowed)
    if len(cores) < OWN_CORES:
        return Cores(frozenset(cores), frozenset(cores))
    at = len(cores) - len(cores) // GENERATOR_SHARE
    return Cores(frozenset(cores[:at]), frozenset(cores[at:]))


@contextmanager
def on_cores(cores: frozenset[int]) -> Iterator[None]:
    """What is started inside begins life on these processors; we ourselves go back to our own."""
    own = os.sched_getaffinity(0)
    if own == cores:
        yield
        return
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def pin(watched: Iterable[Watched], cores: frozenset[int]) -> list[str]:
    """Move processes with all their threads and, of a family, their children. Returns who could not be.

    A process of another user or of a container is left alone; one that is gone needs nothing.
    """
    refused = []
    for one in watched:
        pids = [one.pid, *(processes.children_of([one.pid])[one.pid] if one.family else [])]
        if not all(_pin(pid, cores) for pid in pids):
            refused.append(one.name)
    return refused


def _pin(pid: int, cores: frozenset[int]) -> bool:
    try:
        threads = [int(thread.name) for thread in Path(f"/proc/{pid}/task").iterdir()]
    except FileNotFoundError:
        return True
    for thread in threads:
        try:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(thread, cores)
        except PermissionError:
            return False
    return True
