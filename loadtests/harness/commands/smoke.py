"""``make smoke``: does every part answer, and does a file come back as it was sent?"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus

import aiohttp
from rich.console import Console

from loadtests.harness.clients import users
from loadtests.harness.clients.client import StepFailed, Uploader
from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.clients.users import Identity, SignupFailed
from loadtests.harness.plan.places import link_of
from loadtests.harness.plan.room import left_out
from loadtests.harness.running import scripted
from loadtests.harness.running.rig import Rig, open_rig
from loadtests.harness.running.session import only_one, run_id
from loadtests.harness.testbeds.network import Link, slowed
from loadtests.harness.testbeds.system import System, find_system
from loadtests.harness.testbeds.target import Target, TargetFailed
from loadtests.harness.words import read_network

FILE_BYTES = 12 * 1024 * 1024  # several chunks and parts
HEALTH_ROUTES = tuple(
    f"{prefix}/{route}"
    for prefix in ("", "/auth", "/api/upload", "/api/files")
    for route in ("health", "live", "ready", "ping")
)


def smoke(environ: Mapping[str, str], console: Console) -> int:
    """Ask every health route, upload and download one file by each strategy. 0 if all is well.

    Raises ``WordsError`` and ``NetworkError``.
    """
    link = link_of(read_network(environ))
    system = find_system(environ)
    with only_one(system.run_dir):
        problems = asyncio.run(_smoke(system, link, console))
    if problems:
        console.print(f"[red]{len(problems)} checks failed.[/] See: make status, make logs")
        return 1
    console.print("[green]All checks passed.[/]")
    return 0


async def _smoke(near: System, link: Link, console: Console) -> list[str]:
    run = run_id("smoke", "smoke")
    async with slowed(near, link) as system, open_rig(run, {"": system}, load_strategies()) as rig:
        problems = [
            problem
            for problem in await asyncio.gather(*(_route(rig, path) for path in HEALTH_ROUTES))
            if problem
        ]
        console.print(
            f"{len(HEALTH_ROUTES) - len(problems)} of {len(HEALTH_ROUTES)} health routes answer 200{link}"
        )
        try:
            user = await users.sign_up(rig.http, system.gateway_url, f"smoke-{secrets.token_hex(6)}")
        except (SignupFailed, aiohttp.ClientError) as error:
            problems.append(f"sign-up: {error}")
        else:
            await rig.hold.create_identities(rig.run, 1)
            lacking = left_out(rig.strategies, FILE_BYTES, near.run_dir)
            for name in rig.strategies:
                if why := lacking.get(name):
                    console.print(f"{name}: {why}", markup=False, highlight=False, soft_wrap=True)
                    continue
                problem = await _upload(rig, name, user)
                console.print(f"{name}: {problem or 'stored, listed and read back byte by byte'}")
                problems += [problem] if problem else []
        await rig.hold.cleaner.clean()
    for problem in problems:
        console.print(problem, style="red", markup=False, highlight=False)
    return problems


async def _route(rig: Rig, path: str) -> str | None:
    try:
        async with rig.http.get(
            rig.system.gateway_url + path, timeout=aiohttp.ClientTimeout(total=10)
        ) as answer:
            return None if answer.status == 200 else f"GET {path}: {answer.status}"
    except (aiohttp.ClientError, TimeoutError) as error:
        return f"GET {path}: {error or type(error).__name__}"


async def _upload(rig: Rig, strategy: str, user: Identity) -> str | None:
    """Nothing if one upload by a strategy holds in every respect, else what did not."""
    gateway_url = rig.system.gateway_url
    uploader = Uploader(rig.http, gateway_url, user.token, name=f"smoke-{strategy}.bin")
    play = uploader.by_strategy(strategy)
    content = secrets.token_bytes(FILE_BYTES)
    try:
        if play is not None:
            file_id = await play(content)
        else:  # only its own script knows how
            played = await scripted.play(rig, rig.strategies[strategy], FILE_BYTES)
            file_id, content = played.file_id, played.content
            user = rig.hold.identities[0]
        target = Target(rig.http, gateway_url)
        listed = await target.files(user)
        returned = await target.download(user, file_id)
    except (StepFailed, TargetFailed, aiohttp.ClientError, TimeoutError) as error:
        return f"{strategy}: {error or type(error).__name__}"
    if file_id not in {file.file_id for file in listed}:
        return f"{strategy}: the file is not in its owner's list"
    if returned.http_status != HTTPStatus.OK:
        return f"{strategy}: download: answered {returned.http_status}"
    whole = returned.sha256 == sha256(content).hexdigest()
    return None if whole else f"{strategy}: other bytes came back than were sent"
