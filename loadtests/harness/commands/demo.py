"""``make demo``: one file by each strategy, shown as a timeline of who talked to whom."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from loadtests.harness import wording
from loadtests.harness.clients import users
from loadtests.harness.clients.client import Step, Uploader
from loadtests.harness.clients.strategies import Strategy, load_strategies
from loadtests.harness.metrics.counters import differences
from loadtests.harness.plan.places import link_of
from loadtests.harness.plan.room import left_out
from loadtests.harness.records.samples import Counted
from loadtests.harness.running import scripted
from loadtests.harness.running.rig import Rig, open_rig
from loadtests.harness.running.session import interruptible, only_one, run_id
from loadtests.harness.testbeds.network import Link, slowed
from loadtests.harness.testbeds.system import System, find_system
from loadtests.harness.words import read_network

FILE_BYTES = 1024 * 1024
WARM_UPS = 3  # the first uploads open connections and prepare statements
WIDE = 100  # columns; a narrower terminal shows the table without bars
BAR_WIDTH = 28


@dataclass(frozen=True, slots=True)
class Shown:
    """One step with what the services counted while it ran."""

    step: Step
    counted: Counted | None  # nothing where only the whole upload was counted: its last step holds that


def demo(environ: Mapping[str, str], console: Console) -> int:
    """Upload one file by each strategy and show every step. Raises ``WordsError`` and ``NetworkError``."""
    link = link_of(read_network(environ))
    system = find_system(environ)
    with only_one(system.run_dir):
        asyncio.run(_demo(system, link, console))
    return 0


async def _demo(near: System, link: Link, console: Console) -> None:
    strategies, run = load_strategies(), run_id("demo", "demo")
    async with (
        slowed(near, link) as system,
        open_rig(run, {"": system}, strategies) as rig,
        interruptible(rig, console),
    ):
        console.print(f"One file of {FILE_BYTES:,} random bytes by each strategy, one at a time{link}.\n")
        user = await users.sign_up(rig.http, system.gateway_url, f"demo-{secrets.token_hex(6)}")
        lacking = left_out(strategies, FILE_BYTES, near.run_dir)
        for strategy in strategies.values():
            if rig.stop.is_set():
                break
            if why := lacking.get(strategy.name):
                console.print(f"{strategy.name}: {why}\n", markup=False, highlight=False, soft_wrap=True)
                continue
            await _show(rig, strategy, user.token, console)
        await rig.hold.cleaner.clean()
    console.print(
        "sent: bytes of the file; gateway: bytes that passed it; SQL: statements in the three "
        "databases; store: requests from our services to the object store."
    )
    console.print("Next: [bold]make stress[/] measures them under load (PROFILE=smoke: about a minute).")


async def _show(rig: Rig, strategy: Strategy, token: str, console: Console) -> None:
    if _uploader(rig, token).by_strategy(strategy.name) is None:
        shown = await by_script(rig, strategy)
    else:
        for _ in range(WARM_UPS):
            await trace(rig, strategy.name, token)
        shown = await trace(rig, strategy.name, token)
    console.print(f"[bold]{strategy.manifest.title}[/] ({strategy.name})")
    console.print(strategy.manifest.description, style="dim")
    console.print(timeline(shown, bars=console.width >= WIDE))
    console.print(summary_line(shown), "\n")


def _uploader(rig: Rig, token: str) -> Uploader:
    return Uploader(rig.http, rig.system.gateway_url, token, key=secrets.token_hex(8))


async def by_script(rig: Rig, strategy: Strategy) -> list[Shown]:
    """A strategy that only k6 knows, by its own script: what the services count is the whole upload's."""
    await rig.hold.create_identities(rig.run, 1)
    await scripted.play(rig, strategy, FILE_BYTES, uploads=WARM_UPS)
    before = await rig.hold.counters()
    played = await scripted.play(rig, strategy, FILE_BYTES)
    counted = differences(before, await rig.hold.counters())
    shown = [Shown(step, None) for step in played.steps]
    return [*shown[:-1], Shown(played.steps[-1], counted)] if shown else []


async def trace(rig: Rig, strategy: str, token: str) -> list[Shown]:
    """Upload one file and look at the services' counters after every step."""
    uploader = _uploader(rig, token)
    shown: list[Shown] = []
    last = await rig.hold.counters()

    async def watch(step: Step) -> None:
        nonlocal last
        now = await rig.hold.counters()
        shown.append(Shown(step, differences(last, now)))
        last = now

    uploader.watch = watch
    play = uploader.by_strategy(strategy)
    if play is not None:
        await play(secrets.token_bytes(FILE_BYTES))
    return shown


def timeline(shown: list[Shown], *, bars: bool) -> Table:
    """Steps with a bar where and how long each ran; pauses between steps are left out."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("step", "who talks to whom"):
        table.add_column(title, no_wrap=True)
    for title in ("ms", "sent", "gateway", "SQL", "store"):
        table.add_column(title, justify="right", no_wrap=True)
    if bars:
        table.add_column("time →")
    total_ms = sum(item.step.duration_ms for item in shown) or 1.0
    passed_ms = 0.0
    for item in shown:
        begin = round(passed_ms / total_ms * BAR_WIDTH)
        length = max(1, round(item.step.duration_ms / total_ms * BAR_WIDTH))
        counted = item.counted
        table.add_row(
            item.step.name,
            item.step.path_of_bytes.replace(" → ", "→"),
            f"{item.step.duration_ms:.1f}",
            wording.size(item.step.sent_bytes),
            wording.size(counted.gateway_bytes_in if counted else None),
            wording.number(sum(counted.statements.values()) if counted else None),
            wording.number(sum(counted.store_requests.values()) if counted else None),
            *([" " * begin + "█" * length] if bars else []),
        )
        passed_ms += item.step.duration_ms
    return table


def summary_line(shown: list[Shown]) -> str:
    """The totals of one upload in a sentence."""
    total_ms = sum(item.step.duration_ms for item in shown)
    known = [item.counted for item in shown if item.counted is not None]
    statements = sum(sum(counted.statements.values()) for counted in known)
    store = sum(sum(counted.store_requests.values()) for counted in known)
    return (
        f"{wording.count(len(shown), 'request')}, {total_ms:.1f} ms, "
        f"{wording.count(round(statements), 'statement')}, {wording.count(round(store), 'store request')}."
    )
