"""k6 and the control server together, against a server that agrees to everything: whose turn it was, what
the lines say, and who ends when the other is gone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from aiohttp import BodyPartReader, web

from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.clients.users import Identity
from loadtests.harness.k6.console import Lines, Played, by_stack, read_tail
from loadtests.harness.k6.rows import Rows
from loadtests.harness.load import Files, Load, LoadFailed, Stocked, Workers, open_load
from loadtests.harness.records.plan import NOBODY, Arm, Part, PartKind, Stretch
from loadtests.harness.records.vocabulary import RESUMED, LedgerClass
from loadtests.harness.testbeds.system import find_k6

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

USERS = [Identity(f"user-{at}", f"user-{at}@x", "p", f"t{at}") for at in range(8)]
ANSWER_S = 0.03  # a client that waits costs nothing
# From the look at the clock to the line about it, on a machine that does other things between.
DECIDING_S = 0.2


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the server saw it."""

    path: str
    peer: tuple[str, int]
    closes: bool


@asynccontextmanager
async def agreeable(asked: list[Asked] | None = None) -> AsyncIterator[str]:
    """The URL of a gateway and store that keep nothing; what they are asked goes to ``asked``."""
    url = ""

    async def agree(request: web.Request) -> web.Response:
        await request.read()
        if asked is not None and request.transport is not None:
            peer = request.transport.get_extra_info("peername")
            asked.append(Asked(request.path, peer, request.headers.get("Connection") == "close"))
        await asyncio.sleep(ANSWER_S)
        facts = {"upload_uuid": "x", "url": f"{url}/put", "parts": [{"url": f"{url}/put"}] * 3}
        return web.Response(text=json.dumps(facts), content_type="application/json", headers={"ETag": '"0"'})

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", agree)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield url
    finally:
        await runner.cleanup()


@pytest.fixture
async def gateway() -> AsyncIterator[str]:
    async with agreeable() as url:
        yield url


@asynccontextmanager
async def loading(folder: Path, workers: Workers) -> AsyncIterator[Load]:
    rows = Rows("run")
    async with open_load(
        find_k6(os.environ), Files.within(folder), rows=rows, strategies=load_strategies(),
        workers=workers, seed=3,
    ) as load:  # fmt: skip
        await load.ready()
        yield load
    rows.close()


def arm(name: str, strategy: str | None = "proxy-chunked", size: int = 1000, **facts: Any) -> Arm:
    piece = min(size, facts.pop("piece_bytes", size))
    return Arm(
        name=name, of=name, title=name, colour="#000000", strategy=strategy, file_size_bytes=size,
        piece_bytes=max(1, piece), **{"vus": 2, **facts},
    )  # fmt: skip


def part_of(*arms: Arm, **facts: Any) -> Part:
    return Part(
        name="p", kind=PartKind.COMPARE, arms=arms, period_s=0.5, washout_s=0.1, first_blocks=1,
        most_blocks=1, **facts,
    )  # fmt: skip


def stretch_of(part: Part, *order: str) -> Stretch:
    return Stretch(
        stretch="s001", part="p", t0=time.time() + 0.3, period_s=part.period_s, washout_s=part.washout_s,
        order=order, blocks=(0,) * len(order),
    )  # fmt: skip


async def play(load: Load, gateway: str, part: Part, stretch: Stretch, **facts: Any) -> Lines:
    number = await load.release(stretch, part, gateways={"": gateway}, identities={"": USERS}, **facts)
    await load.idle(90)
    return lines_of(load, part, stretch, number)


def lines_of(load: Load, part: Part, stretch: Stretch, number: int) -> Lines:
    names = tuple(one.name for one in part.arms)
    ids = [user.user_id for user in USERS]
    played: Mapping[int, Played] = {
        number: Played(stretch.stretch, names, ("",) * len(names), (ids,) * len(names))
    }
    raw = [line for line in read_tail(load.files.console)[0] if json.loads(line)["s"] == number]
    return by_stack(raw, played)[""]


async def test_an_arm_without_keep_alive_takes_a_connection_for_every_request(tmp_path: Path) -> None:
    asked: list[Asked] = []
    part = part_of(arm("new", "direct-single", keep_alive=False), arm("kept", "direct-single"))
    async with agreeable(asked) as gateway, loading(tmp_path, Workers(2)) as load:
        await play(load, gateway, part, stretch_of(part, "new"), login_each=True)
        new = asked.copy()
        asked.clear()
        await play(load, gateway, part, stretch_of(part, "kept"), login_each=True)
    assert {one.path for one in new} == {"/auth/login", "/api/upload/single/session", "/put",
                                         "/api/upload/single/complete"}  # fmt: skip
    assert all(one.closes for one in new)
    assert len({one.peer for one in new}) == len(new)
    assert not any(one.closes for one in asked)
    assert len({one.peer for one in asked}) <= 2 * 2, "one for each VU, the store's apart"


async def test_an_arm_with_reads_looks_at_its_file_after_each_upload(tmp_path: Path) -> None:
    asked: list[Asked] = []
    part = part_of(arm("reads", "proxy-single", reads=3))
    async with agreeable(asked) as gateway, loading(tmp_path, Workers(2)) as load:
        lines = await play(load, gateway, part, stretch_of(part, "reads"))
    paths = Counter(one.path for one in asked)
    assert paths["/api/files/f/x"] == 3 * paths["/api/upload/file"] == 3 * len(lines.outcomes)


async def test_the_client_s_own_configuration_has_no_effect(
    tmp_path: Path, gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With this file in force k6 could not even ask what to do."""
    for folder in (".config/k6", ".config/loadimpact/k6"):
        config = tmp_path / folder / "config.json"
        config.parent.mkdir(parents=True)
        config.write_text('{"blacklistIPs": ["127.0.0.0/8"], "rps": 1}')
    monkeypatch.setenv("K6_BIN", str(find_k6(os.environ)))
    monkeypatch.setenv("HOME", str(tmp_path))
    part = part_of(arm("a"))
    async with loading(tmp_path / "run", Workers(2)) as load:
        lines = await play(load, gateway, part, stretch_of(part, "a", "a"))
    assert lines.outcomes
    assert all(one.acked for one in lines.outcomes)


def turn_at(stretch: Stretch, at: float) -> str:
    """Whose turn it is; who comes after the last one was decided in it."""
    return stretch.order[min(int((at - stretch.t0) / stretch.period_s), len(stretch.order) - 1)]


async def test_every_upload_begins_in_a_turn_of_its_arm(tmp_path: Path, gateway: str) -> None:
    part = part_of(
        arm("a"),
        arm("b", "direct-multipart", 12_000_000, piece_bytes=5_000_000),
        arm("c", "direct-single", vus=1),
    )
    uploads, users = Counter[str](), set[tuple[str, str]]()
    async with loading(tmp_path, Workers(2)) as load:
        for period_s in (0.5, 2.0, 8.0):  # on a busy machine a short turn may end before anybody begins
            part = part.model_copy(update={"period_s": period_s})
            stretch = stretch_of(part, "a", "b", "c", "c", "b", "a")
            lines = await play(load, gateway, part, stretch)
            assert lines.unreadable == 0
            assert all(outcome.acked for outcome in lines.outcomes)
            assert {one.upload_ref for one in lines.intents} == {one.upload_ref for one in lines.outcomes}
            for one in lines.intents:
                assert one.arm in {turn_at(stretch, one.at), turn_at(stretch, one.at - DECIDING_S)}
            uploads.update(one.arm for one in lines.intents)
            users |= {(one.arm, one.user_id) for one in lines.intents}
            if len(users) == 5:
                break
        summary = await load.end()
    both = ("user-0", "user-1")
    assert users == {*((name, user) for name in "ab" for user in both), ("c", "user-0")}, "c has one VU"
    assert summary.exit_code == 0
    # session, chunk; session, three times put and register, complete; session, put, complete
    assert summary.requests == 2 * uploads["a"] + 8 * uploads["b"] + 3 * uploads["c"], "no talk with us"


async def test_open_arrivals_are_due_by_the_clock_and_nobody_rests(tmp_path: Path, gateway: str) -> None:
    part = part_of(
        arm(NOBODY, None, 0, vus=0),
        arm("a", vus=0, rate_per_s=10.0),
        login_rate_per_s=8.0,
        list_rate_per_s=4.0,
    )
    stretch = stretch_of(part, NOBODY, "a", "a", NOBODY)
    async with loading(tmp_path, Workers(3, login=2, list=1)) as load:
        lines = await play(load, gateway, part, stretch)
    due = sorted(one.scheduled_at or 0.0 for one in lines.intents)
    assert due == pytest.approx([stretch.t0 + at / 10 for at in range(5, 15)], abs=0.002)
    assert all(one.at >= (one.scheduled_at or 0.0) - 0.002 for one in lines.intents)
    steps = Counter((one.step, one.arm) for one in lines.steps)
    assert steps == {("login", NOBODY): 8, ("login", "a"): 8, ("list", NOBODY): 4, ("list", "a"): 4}
    assert all(one.ok and one.scheduled_at is not None for one in lines.steps)


async def test_a_set_number_of_uploads_whatever_the_clock_says(tmp_path: Path, gateway: str) -> None:
    part = part_of(arm("a", vus=2), login_rate_per_s=5.0).model_copy(update={"period_s": 600.0})
    async with loading(tmp_path, Workers(3, login=1)) as load:
        lines = await play(load, gateway, part, stretch_of(part, "a"), uploads=4, login_each=True)
        again = await play(load, gateway, part, stretch_of(part, "a"), uploads=1)
    assert len(lines.outcomes) == 2 * 4
    assert Counter(one.step for one in lines.steps) == {"login": 8}
    assert len(again.outcomes) == 2


async def test_a_cut_stretch_ends_soon(tmp_path: Path, gateway: str) -> None:
    part = part_of(arm("a"), arm("b", vus=0)).model_copy(update={"period_s": 60.0})
    stretch = stretch_of(part, "a", "b")
    async with loading(tmp_path, Workers(3)) as load:  # the third VU sleeps through all of it
        number = await load.release(stretch, part, gateways={"": gateway}, identities={"": USERS})
        await _first_line(load)
        load.control.cut()
        await load.idle(40)
        lines = lines_of(load, part, stretch, number)
    assert len(lines.intents) == len(lines.outcomes) > 0


async def test_k6_ends_by_itself_when_nobody_answers(tmp_path: Path, gateway: str) -> None:
    part = part_of(arm("a")).model_copy(update={"period_s": 60.0})
    async with loading(tmp_path, Workers(3)) as load:
        await load.release(stretch_of(part, "a"), part, gateways={"": gateway}, identities={"": USERS})
        await _first_line(load)
        await load.control.close()
        assert await asyncio.wait_for(load.process.wait(), 60) == 0


async def test_a_k6_that_is_gone_is_an_error(tmp_path: Path, gateway: str) -> None:
    part = part_of(arm("a")).model_copy(update={"period_s": 60.0})
    async with loading(tmp_path, Workers(2)) as load:
        await load.release(stretch_of(part, "a"), part, gateways={"": gateway}, identities={"": USERS})
        await _first_line(load)
        load.process.send_signal(signal.SIGKILL)
        with pytest.raises(LoadFailed, match="-9"):
            await load.idle(30)


async def test_a_script_that_cannot_begin_says_why(tmp_path: Path) -> None:
    rows = Rows("run")
    async with open_load(
        find_k6(os.environ), Files.within(tmp_path), rows=rows, strategies=load_strategies(),
        workers=Workers(1), seed=3, variables={"STRATEGIES": '{"x": "/not/there.js"}'},
    ) as load:  # fmt: skip
        with pytest.raises(LoadFailed, match="not/there"):
            await load.ready()
    rows.close()


FILE = os.urandom(40_000)
SHA256 = sha256(FILE).hexdigest()


@asynccontextmanager
async def serving_files(asked: list[tuple[str, str | None]]) -> AsyncIterator[str]:
    """The URL of a gateway and store that have one file under every id. Half of what is asked for comes at
    once, the rest after a while. Paths and ranges go to ``asked``."""
    url = ""

    async def send(request: web.Request) -> web.StreamResponse:
        wanted = request.headers.get("Range")
        asked.append((request.path, wanted))
        first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        rest = FILE[first:]
        answer = web.StreamResponse(status=206 if wanted else 200, headers={"Content-Length": str(len(rest))})
        await answer.prepare(request)
        await answer.write(rest[: len(rest) // 2])
        await asyncio.sleep(ANSWER_S)
        await answer.write(rest[len(rest) // 2 :])
        return answer

    async def one(request: web.Request) -> web.StreamResponse:
        if request.query.get("delivery") == "proxied":
            return await send(request)
        asked.append((request.path, None))
        return web.json_response({"download_url": f"{url}/store"})

    async def many(request: web.Request) -> web.StreamResponse:
        asked.append((request.path, None))
        told = {"success": True, "download_url": f"{url}/store"}
        return web.json_response({"results": [told for _ in (await request.json())["file_ids"]]})

    app = web.Application()
    app.router.add_get("/api/files/f/{file_id}/download", one)
    app.router.add_post("/api/files/batch-download", many)
    app.router.add_get("/store", send)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield url
    finally:
        await runner.cleanup()


def downloading(delivery: str, *, files: int = 1, cut_every: int | None = None) -> Part:
    """One arm of two clients, for a second and a half."""
    own = arm("down", "proxy-single", len(FILE), download=delivery, files=files, cut_every=cut_every)
    return part_of(own).model_copy(update={"period_s": 1.5})


def stock_of(files: int = 1, digest: str = SHA256) -> dict[tuple[str, int], list[Stocked]]:
    return {("", len(FILE)): [Stocked(f"f{at}", digest) for at in range(files)]}


@pytest.mark.parametrize(("delivery", "files"), [("proxied", 1), ("presigned", 1), ("batch", 3)])
async def test_downloads_are_verified_and_what_was_cut_is_resumed(
    tmp_path: Path, delivery: str, files: int
) -> None:
    asked: list[tuple[str, str | None]] = []
    part = downloading(delivery, files=files, cut_every=3)
    async with serving_files(asked) as gateway, loading(tmp_path, Workers(2)) as load:
        stretch = stretch_of(part, "down")
        lines = await play(load, gateway, part, stretch, stocked=stock_of(files))
    assert not lines.intents and not lines.outcomes and lines.unreadable == 0
    assert {one.ledger for one in lines.downloads} == {LedgerClass.VERIFIED}
    assert {one.upload_ref for one in lines.downloads} == {f"f{at}" for at in range(files)}
    resumed = [one for one in lines.downloads if RESUMED in one.flags]
    assert 0 < len(resumed) < len(lines.downloads)
    assert len(resumed) == sum(wanted is not None for _, wanted in asked), "by range, and only then"
    to_gateway = sum(path != "/store" for path, _ in asked)
    texts = [json.loads(line) for line in read_tail(load.files.console)[0]]
    assert sum(line["q"] for line in texts) == to_gateway, "as many as the watch for strangers is told of"
    if delivery == "batch":
        assert Counter(path for path, _ in asked)["/api/files/batch-download"] * files == len(lines.downloads)


async def test_other_bytes_than_were_uploaded_are_no_download(tmp_path: Path) -> None:
    part = downloading("proxied")
    async with serving_files([]) as gateway, loading(tmp_path, Workers(2)) as load:
        lines = await play(load, gateway, part, stretch_of(part, "down"), stocked=stock_of(digest="0" * 64))
    assert {one.ledger for one in lines.downloads} == {LedgerClass.CORRUPT}
    assert {one.failed_step for one in lines.downloads} == {"compare"}


async def test_a_file_that_is_not_there_is_a_failed_download(tmp_path: Path, gateway: str) -> None:
    """This gateway agrees to everything and has no address of a file."""
    part = downloading("presigned")
    async with loading(tmp_path, Workers(2)) as load:
        lines = await play(load, gateway, part, stretch_of(part, "down"), stocked=stock_of())
    assert {one.ledger for one in lines.downloads} == {LedgerClass.CLEAN_FAILURE}


async def test_files_of_a_batch_go_in_one_request_and_fail_one_by_one(tmp_path: Path) -> None:
    """A gateway that reads the form and takes every file but the second."""
    seen: list[tuple[str, list[str]]] = []

    async def batch(request: web.Request) -> web.Response:
        digests = []
        async for field in await request.multipart():
            assert isinstance(field, BodyPartReader)
            digests.append(sha256(await field.read()).hexdigest())
        seen.append((request.headers["Idempotency-Key"], digests))
        results = [
            {"index": at, "success": at != 1, "file_id": f"id-{at}", "error": "too_bad"}
            for at in range(len(digests))
        ]
        return web.json_response({"results": results})

    app = web.Application()
    app.router.add_post("/api/upload/batch", batch)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    part = part_of(arm("batch", "proxy-single-batch", 1000, files=5))
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        gateway = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with loading(tmp_path, Workers(2)) as load:
            lines = await play(load, gateway, part, stretch_of(part, "batch"), uploads=1)
    finally:
        await runner.cleanup()
    assert len(seen) == 2
    known = {one.key: one for one in lines.intents}
    for key, digests in seen:
        assert digests == [known[f"{key}/{at}"].sha256 for at in range(5)], "the bytes are those of the rows"
    failed = [one for one in lines.outcomes if not one.acked]
    assert len(lines.outcomes) == 10 and {one.error_code for one in failed} == {"too_bad"}
    assert {one.upload_ref for one in failed} == {known[f"{key}/1"].upload_ref for key, _ in seen}


async def _first_line(load: Load) -> None:
    while not read_tail(load.files.console)[0]:
        await asyncio.sleep(0.02)
