"""Stacks of our own for the arms of a comparison: asked for, read back, made anew, gone at the end.

``python -m compose.beside`` has them, a process of its own that takes everything away when we let go of its
input, also when we are killed. What comes out is one ``System`` for each arm, as if it were a running
testbed.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from loadtests.harness import background
from loadtests.harness.records.vocabulary import STORES
from loadtests.harness.testbeds.native_testbed import SharedParts
from loadtests.harness.testbeds.network import Link, Network, open_network
from loadtests.harness.testbeds.system import ROOT, System, settings_of, system_of
from loadtests.harness.testbeds.testbed import CLUSTERS
from loadtests.harness.words import ArmWords, Known

MODULE = "compose.beside"
END_LIMIT_S = 120.0
# Belong to the comparison, not to the arms: a stack never hears of them.
NOT_HANDED_ON = ("A", "B", "BASE", "TARGET")


class StacksError(Exception):
    """The stacks cannot be had; one line for each reason."""


@dataclass(frozen=True, slots=True)
class Making:
    """One making of all stacks. ``order`` says which arm was put into which place, and ``took_s`` how long
    ending, databases and starting took."""

    order: tuple[str, ...]
    took_s: Mapping[str, float]

    @property
    def seconds(self) -> float:
        return sum(self.took_s.values())


@dataclass(slots=True)
class Helper:
    """The process that has the stacks. Its words for people go where ours go."""

    process: asyncio.subprocess.Process

    async def ask(self, op: str, **more: Any) -> dict[str, Any]:
        """One request. Raises ``StacksError`` with what went wrong."""
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            raise StacksError("the stacks' process has no input")
        stdin.write(json.dumps({"op": op, **more}).encode() + b"\n")
        await stdin.drain()
        line = await stdout.readline()
        if not line:
            raise StacksError(f"the stacks' process ended while it was asked to {op}")
        answer: dict[str, Any] = json.loads(line)
        if not answer.pop("ok"):
            raise StacksError(answer["error"])
        return answer

    async def know(self, revisions: Mapping[str, str | None]) -> dict[str, Known]:
        """By arm: the settings of its code that somebody may choose. Takes revisions out of the history."""
        answer = await self.ask("know", revisions=dict(revisions))
        found: dict[str, Known] = answer["known"]
        return found


@asynccontextmanager
async def open_helper(environ: Mapping[str, str]) -> AsyncIterator[Helper]:
    """Start the stacks' process; at the end of the block everything that it made is gone.

    Raises ``StacksError`` in a container, where nothing can be started beside the running containers.
    """
    if environ.get("BENCH_PROJECT"):
        raise StacksError(
            "Arms with settings, replicas, a pooler, a store, a revision or a network of their own need "
            "processes of their own, which are not started beside containers. As plain processes they are "
            "(with Python 3.11 or later): make down, then the same command with RUNTIME=native. A network "
            "that is the same for both arms works here, too."
        )
    handed_on = {name: value for name, value in environ.items() if name not in NOT_HANDED_ON}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", MODULE, cwd=ROOT, env=handed_on, limit=1 << 24,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is ours: we end the stacks when the audit is done
    )  # fmt: skip
    try:
        yield Helper(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        # What it leaves where it must be killed, the next command takes away.
        await asyncio.shield(background.end(process, END_LIMIT_S, ask=None))


def remove_leftovers(environ: Mapping[str, str]) -> None:
    """Take away what killed comparisons left, and say so; costs nothing where there is nothing."""
    run_dir = Path(environ.get("VAULTBENCH_RUN_DIR") or ROOT / ".run")
    if environ.get("BENCH_PROJECT") or not any((run_dir / "ab").glob("*")):
        return
    subprocess.run([sys.executable, "-m", MODULE, "--leftovers"], cwd=ROOT, env=dict(environ), check=False)


@dataclass(slots=True)
class Stacks:
    """The stacks of a comparison that runs. Made by ``open_stacks``.

    ``systems`` are by arm, and others after each making: connections to what was there before are cut.
    ``shared`` are databases and store, watched once for all of them. ``expected`` holds by arm and process
    the settings that must be in effect; ``revisions`` by arm the commit, empty where none was asked for.
    """

    arms: tuple[str, ...]
    systems: dict[str, System]
    shared: SharedParts
    expected: Mapping[str, Mapping[str, Mapping[str, Any]]]
    revisions: Mapping[str, str]
    same_code: bool  # two revisions that hold the same: an A/A
    making: Making
    _helper: Helper = field(repr=False)
    _network: Network | None = field(repr=False, default=None)
    _ways: Mapping[str, Mapping[str, str]] = field(repr=False, default_factory=dict)

    async def renew(self, moved: int) -> Making:
        """Make all stacks anew, each moved on by so many places, and read them back.

        Raises ``StacksError``.
        """
        order = self.arms[moved:] + self.arms[:moved]
        await self._take(order, await self._helper.ask("renew", order=list(order)))
        return self.making

    async def _take(self, order: tuple[str, ...], answer: Mapping[str, Any]) -> None:
        stacks = answer["stacks"].items()
        self.systems = {arm: system_of(one["env"], ROOT, Path(one["run_dir"])) for arm, one in stacks}
        self.making = Making(order, answer["took_s"])
        await read_back(self.systems, self.expected)
        if self._network is not None:
            for arm, ways in self._ways.items():
                self.systems[arm] = await _led(self._network, arm, ways, self.systems[arm])


@asynccontextmanager
async def open_stacks(
    helper: Helper, arms: Mapping[str, ArmWords], links: Mapping[str, Link], environ: Mapping[str, str]
) -> AsyncIterator[Stacks]:
    """Start one stack for each arm and wait until all are healthy and run with what was asked.

    ``links`` are by arm. Raises ``StacksError`` with everything that is wrong, before any of our processes
    runs.
    """
    async with AsyncExitStack() as stack:
        ways: dict[str, dict[str, str]] = {}
        network = None
        if any(links.values()):
            network = await stack.enter_async_context(open_network(environ))
            # To an arm's gateway and store; they lead nowhere yet.
            ways = {
                arm: {end: await network.lay(f"{arm}-{end}", link) for end in ("gateway", "store")}
                for arm, link in links.items()
                if link
            }
        own_store = any("STORE" in arm.stack for arm in arms.values())
        wishes = {
            name: _wish(words, arms, own_store=own_store, public_store=ways.get(name, {}).get("store", ""))
            for name, words in arms.items()
        }
        prepared = await helper.ask("prepare", wishes=wishes, own_store=own_store, store=STORES[0])
        refuse(prepared, arms, wishes, links)
        order = tuple(arms)
        answer = await helper.ask("start", order=list(order))
        found = Stacks(
            arms=order,
            systems={},
            shared=SharedParts(
                Path(prepared["shared"]["run_dir"]),
                frozenset({*CLUSTERS} if own_store else {*CLUSTERS, *STORES}),
            ),
            expected=prepared["settings"],
            revisions={arm: tree["commit"] for arm, tree in prepared["trees"].items()},
            same_code=_same_code(prepared["trees"]),
            making=Making(order, {}),
            _helper=helper,
            _network=network,
            _ways=ways,
        )
        await found._take(order, answer)
        yield found


def refuse(
    prepared: Mapping[str, Any],
    arms: Mapping[str, ArmWords],
    wishes: Mapping[str, Mapping[str, Any]],
    links: Mapping[str, Link],
) -> None:
    """Raises ``StacksError`` for settings that the services do not take, and for arms that turn out equal.

    Two revisions of the same files are an A/A, and allowed: that a change does nothing can only be found so.
    """
    problems, seen = list(prepared["problems"]), dict[str, str]()
    for name, words in arms.items():
        client = [words.strategy, words.file_size_bytes, words.vus, words.target]
        network = [links[name].rtt_ms, links[name].bandwidth_mbit]
        wish = [wishes[name]["environment"], wishes[name]["revision"]]
        in_effect = json.dumps([prepared["settings"][name], wish, client, network], sort_keys=True)
        if not problems and in_effect in seen:
            asked = " ".join(f"{key}={value}" for key, value in words.asked.items()) or "nothing"
            problems.append(
                f"{seen[in_effect]} and {name} are the same in the end: what {name} asks for ({asked}) has "
                "no effect, or is what the other has anyway"
            )
        seen[in_effect] = name
    if problems:
        raise StacksError("\n".join(problems))


async def read_back(
    systems: Mapping[str, System], expected: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> None:
    """Ask every process for its settings. Raises ``StacksError`` naming each that is not as expected."""
    problems = []
    async with aiohttp.ClientSession() as http:
        for arm, system in systems.items():
            for process, url in system.admin_urls.items():
                said = (await settings_of(http, url))["settings"]
                problems += [
                    f"{arm}: {process} runs with {name}={said.get(name)}, not {wanted}"
                    for name, wanted in expected[arm][process].items()
                    if said.get(name) != wanted
                ]
    if problems:
        raise StacksError("\n".join(problems))


def _wish(
    words: ArmWords, arms: Mapping[str, ArmWords], *, own_store: bool, public_store: str
) -> dict[str, Any]:
    """What an arm asks of its stack. An external part that one arm names is there in all of them."""
    environment: dict[str, str] = {"POOLER": words.stack.get("POOLER", "none")}
    several = any("REPLICAS" in arm.stack for arm in arms.values())
    topology = words.stack.get("TOPOLOGY") or ("scaled" if several else "single")
    if topology == "scaled":
        environment |= {"TOPOLOGY": topology, "REPLICAS": words.stack.get("REPLICAS", "1")}
    if own_store:
        environment["STORE"] = words.stack.get("STORE", STORES[0])
    return {
        "environment": environment,
        "processes": {service: dict(settings) for service, settings in words.processes.items()},
        "revision": words.revision,
        "public_store": f"http://{public_store}" if public_store else "",
    }


def _same_code(trees: Mapping[str, Mapping[str, str]]) -> bool:
    digests = {tree["digest"] for tree in trees.values()}
    return len(digests) == 1 and "" not in digests


async def _led(network: Network, arm: str, ways: Mapping[str, str], system: System) -> System:
    """The system with clients at the near end of its ways."""
    await network.lead(f"{arm}-gateway", urlsplit(system.gateway_url).netloc)
    await network.lead(f"{arm}-store", system.endpoints.s3_endpoint)
    return replace(system, gateway_url=f"http://{ways['gateway']}")
