"""Readiness: checks side by side, each limited in time, kept for two seconds."""

from __future__ import annotations

import asyncio

import pytest

from services.kit import health
from services.kit.errors import unavailable
from services.kit.health import Check, Health, NotOkError

pytestmark = pytest.mark.unit


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


async def fine() -> str | None:
    return None


async def noted() -> str | None:
    return "two replicas"


async def refusing() -> str | None:
    raise NotOkError("9 of 10 places taken")


async def down() -> str | None:
    raise unavailable("database")


async def broken() -> str | None:
    raise OSError("connect to 10.0.0.1:5432 failed")


async def endless() -> str | None:
    await asyncio.Event().wait()
    return None


def make(now: Clock, **checks: Check) -> Health:
    return Health("upload", "hello", checks, now, details=lambda: {"queue": 3})


async def test_ready_shows_each_check() -> None:
    status, body = await make(Clock(), database=fine, store=noted).ready("r")
    assert (status, body["status"], body["service"]) == (200, "ready", "upload")
    assert body["checks"]["database"]["message"] == "ok"
    assert body["checks"]["store"]["message"] == "two replicas"
    assert "queue" not in body


async def test_detailed_shows_more() -> None:
    now = Clock()
    made = make(now, database=fine)
    now.at += 5
    _, body = await made.ready("r", detailed=True)
    assert (body["uptime_s"], body["queue"], body["version"]) == (5.0, 3, "0.1.0")


@pytest.mark.parametrize(
    ("check", "said"),
    [(refusing, "9 of 10 places taken"), (down, "database is not available"), (broken, "OSError")],
)
async def test_one_bad_check_is_enough(check: Check, said: str) -> None:
    status, body = await make(Clock(), good=fine, bad=check).ready("r")
    assert (status, body["status"], body["error"], body["request_id"]) == (503, "not_ready", "not_ready", "r")
    assert body["message"] == "Not ready: bad."
    assert said in body["checks"]["bad"]["message"]
    assert "10.0.0.1" not in str(body)


async def test_a_check_has_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_LIMIT_S", 0.01)
    status, body = await make(Clock(), slow=endless, good=fine).ready("r")
    assert (status, body["checks"]["slow"]["message"]) == (503, "no answer in time")
    assert body["checks"]["good"]["ok"]


async def test_results_are_kept_for_two_seconds() -> None:
    now, calls = Clock(), []

    async def counted() -> str | None:
        calls.append(now.at)
        return None

    made = make(now, counted=counted)
    for at in (100.0, 101.9, 102.0, 103.0):
        now.at = at
        await made.ready("r")
    assert calls == [100.0, 102.0]


async def test_detailed_checks_are_kept_too_and_do_not_decide_readiness() -> None:
    now, calls = Clock(), []

    async def counted() -> str | None:
        calls.append(now.at)
        raise NotOkError("open to everybody")

    made = Health("upload", "hello", {"good": fine}, now, detailed_checks={"bucket": counted})
    for at in (100.0, 101.9, 102.0):
        now.at = at
        assert (await made.ready("r", detailed=True))[0] == 503
        assert (await made.ready("r"))[0] == 200
    assert calls == [100.0, 102.0]


@pytest.mark.parametrize("detailed", [False, True])
async def test_many_askers_share_one_run_also_when_the_first_leaves(detailed: bool) -> None:
    go, calls = asyncio.Event(), []

    async def waiting() -> str | None:
        calls.append(1)
        await go.wait()
        return None

    made = Health("upload", "hello", {"one": waiting}, Clock(), detailed_checks={"more": waiting})
    first = asyncio.create_task(made.ready("r", detailed=detailed))
    await asyncio.sleep(0)
    others = [asyncio.create_task(made.ready("r", detailed=detailed)) for _ in range(50)]
    await asyncio.sleep(0)
    first.cancel()
    go.set()
    answers = await asyncio.gather(*others)
    assert [status for status, _ in answers] == [200] * 50
    assert len(calls) == (2 if detailed else 1)


async def test_draining_is_not_ready() -> None:
    made = make(Clock(), database=fine)
    made.draining = lambda: True
    status, body = await made.ready("r")
    assert (status, body["message"]) == (503, "The service is shutting down.")
