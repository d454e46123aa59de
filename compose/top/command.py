"""The loop behind `make top`: look, draw, wait; until Ctrl-C, or once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live

from compose.prom import Prometheus, PrometheusGone
from compose.top.frame import HEIGHT, WIDTH, Frame
from compose.top.processes import Processes, by_service
from compose.top.rates import Rates, look

PERIOD_S = 1.0
RATES_EVERY_S = 2.0  # Prometheus itself has news every 5 s


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, as it can be replaced: monotonic seconds, the process's own CPU seconds, waiting, the hour."""

    now: Callable[[], float] = time.monotonic
    own_cpu_s: Callable[[], float] = time.process_time
    sleep: Callable[[float], None] = time.sleep
    hour: Callable[[], str] = lambda: time.strftime("%H:%M:%S")


class Watch:
    """Makes frames; remembers what rates need from the frame before."""

    def __init__(self, processes: Processes, prometheus: Prometheus, clock: Clock | None = None) -> None:
        self._processes, self._prometheus, self.clock = processes, prometheus, clock or Clock()
        self._rates, self._asked_s = Rates(), float("-inf")
        self._own: tuple[float, float] | None = None

    def frame(self) -> Frame:
        now_s = self.clock.now()
        parts = by_service(self._processes.look(now_s))
        if now_s - self._asked_s >= RATES_EVERY_S:
            self._asked_s, self._rates = now_s, self._ask()
        return Frame(self.clock.hour(), parts, self._rates, self._own_cores(now_s), os.cpu_count() or 1)

    def _ask(self) -> Rates:
        try:
            return look(self._prometheus)
        except PrometheusGone as exc:
            return Rates(missing=str(exc))

    def _own_cores(self, now_s: float) -> float | None:
        before, self._own = self._own, (now_s, self.clock.own_cpu_s())
        if before is None or now_s <= before[0]:
            return None
        return (self._own[1] - before[1]) / (now_s - before[0])


def once(watch: Watch, console: Console) -> Frame:
    """One frame, after the moment that rates need."""
    watch.frame()
    watch.clock.sleep(PERIOD_S)
    frame = watch.frame()
    console.print(frame.draw(*_size(console)))
    return frame


def live(watch: Watch, console: Console) -> None:
    """Frames until Ctrl-C; one below the other where there is no terminal."""
    try:
        if console.is_terminal:
            _on_screen(watch, console)
        while True:
            console.print(watch.frame().draw(*_size(console)))
            watch.clock.sleep(PERIOD_S)
    except KeyboardInterrupt:
        return


def _size(console: Console) -> tuple[int, int]:
    """Columns and lines now: a window may change its size."""
    return console.size if console.is_terminal else (WIDTH, HEIGHT)


def _on_screen(watch: Watch, console: Console) -> None:
    with Live(console=console, screen=True, auto_refresh=False) as screen:
        while True:
            screen.update(watch.frame().draw(*_size(console)), refresh=True)
            watch.clock.sleep(PERIOD_S)
