"""Measuring from a container beside the others: demo, smoke, a small comparison, and its interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from compose.settings import ROOT
from compose.top.containers import ONCE
from loadtests.harness.records.bundle import Bundle
from tests import demo
from tests.compose.bed import PARTS, UP_WITHIN_S, Bed, new_bed
from tests.compose.conftest import Visitor

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]
STRESS_WITHIN_S, TOLD_WITHIN_S = 600, 120
UNDER_WAY = "Which is faster?"  # the first part of a comparison has been played, others follow
STRATEGIES = ("proxy-chunked", "direct-multipart", "direct-single")


@pytest.fixture(scope="module")
def measured(daemon: str, without: str) -> Iterator[Bed]:
    """A testbed whose results go to a folder of its own."""
    with new_bed(daemon, WITHOUT=without) as made:
        made.env["VAULTBENCH_RESULTS"] = str(made.folder / "results")
        made.good("up", timeout_s=UP_WITHIN_S)
        yield made


def newest(bed: Bed) -> Path:
    return max((bed.folder / "results").iterdir())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_demo_shows_one_upload_by_each_strategy(measured: Bed) -> None:
    told = measured.good("demo")
    for strategy in STRATEGIES:
        assert f"({strategy})" in told
    assert "you→store" in told, "direct bytes went to the address that was signed for the host"


def test_smoke_reads_back_one_upload_by_each_strategy(measured: Bed) -> None:
    told = measured.good("smoke")
    for strategy in STRATEGIES:
        assert f"{strategy}: stored, listed and read back byte by byte" in told
    assert "All checks passed." in told


def test_over_a_slower_network_both_roads_of_a_client_are_slower(measured: Bed) -> None:
    told = measured.good("demo", "RTT_MS=60", timeout_s=UP_WITHIN_S)  # builds its image
    assert "one at a time over a network of 60 ms round trip" in " ".join(told.split())
    took = demo.steps(told)
    assert {path for path, _ in took} >= {"you→gateway→upload", "you→store"}
    assert min(ms for _, ms in took) >= 60
    assert not measured.container("bench"), "nothing is left of it"


def test_a_comparison_over_a_slower_network_is_audited_and_says_so(measured: Bed) -> None:
    words = ("PROFILE=smoke", "RTT_MS=20", "BANDWIDTH_MBIT=100")
    done = measured.make("stress", *words, timeout_s=STRESS_WITHIN_S)
    assert done.returncode == 0 or "This run is invalid" in done.stdout, done.stdout + done.stderr
    bundle = newest(measured)
    assert {line["failed"] for line in lines(bundle / "ledger.jsonl")} == {False}
    plan = json.loads((bundle / "plan.json").read_text())
    assert (plan["rtt_ms"], plan["bandwidth_mbit"]) == (20, 100)
    assert "over a network of 20 ms round trip and 100 Mbit/s" in " ".join(done.stdout.split())
    acked = [one for one in Bundle(bundle).uploads() if one.acked_at and one.started_at]
    assert {one.arm for one in acked} >= {arm["name"] for arm in plan["arms"] if arm["strategy"]}
    for one in acked:
        least_ms = 20 * plan["requests_per_upload"].get(one.arm, 1) - 2  # k6 counts whole milliseconds
        assert ((one.acked_at or 0) - (one.started_at or 0)) * 1000 >= least_ms, one


def test_arms_that_need_processes_are_told_where_they_can_have_them(measured: Bed) -> None:
    for arm in ("upload.DB_POOL_MAX=5", "RTT_MS=40"):
        done = measured.make("ab", f"B={arm}", "PROFILE=smoke", timeout_s=UP_WITHIN_S)
        assert done.returncode != 0
        assert "make down, then the same command with RUNTIME=native" in " ".join(done.stdout.split())


async def test_the_same_signed_address_works_on_the_host(measured: Bed, visitor: Visitor) -> None:
    """What k6 reaches by its option `hosts` is what a browser reaches by the published port."""
    user = await visitor(measured)
    facts = {"file_name": "a.bin", "file_size_bytes": 4}
    session = (await user.post("/api/upload/single/session", json=facts)).json
    signed = session["url"]
    assert signed.startswith(f"http://localhost:{measured.env['S3_PORT']}/")
    elsewhere = signed.replace("localhost", "127.0.0.1", 1)
    async with user.session.put(URL(elsewhere, encoded=True), data=b"abcd") as refused:
        assert refused.status == 403, "the host name is part of what is signed"
    async with user.session.put(URL(signed, encoded=True), data=b"abcd") as stored:
        assert stored.status == 200


def test_a_small_comparison_is_audited_and_says_where_it_ran(measured: Bed) -> None:
    done = measured.make("stress", "PROFILE=smoke", timeout_s=STRESS_WITHIN_S)
    bundle = newest(measured)
    # 2 is "measured, and invalid": on a shared machine k6 may be the limit. Everything else is a failure.
    assert done.returncode == 0 or "This run is invalid" in done.stdout, done.stdout + done.stderr
    ledgers = lines(bundle / "ledger.jsonl")
    assert {line["failed"] for line in ledgers} == {False}
    assert sum(line["classes"].get("verified", 0) for line in ledgers) > 0
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["runtime"] == "compose"
    assert "RELEASE." in manifest["tools"]["minio"]
    assert "PostgreSQL" in manifest["tools"]["pg-auth"]
    for part in ("gateway", "auth", "upload", "files", "minio", "pg-auth", "pg-upload", "pg-files"):
        own = manifest["containers"][part]
        assert own["image_id"] == measured.facts(part)["Image"]
        assert own["limits"]["memory_bytes"] == measured.facts(part)["HostConfig"]["Memory"]
    assert f"Report   {bundle}/report.html" in done.stdout, "a path of the host"


def test_looks_know_cpu_and_memory_of_every_container(measured: Bed) -> None:
    looks = Bundle(newest(measured)).looks()
    first, last = looks[0], looks[-1]
    for part in ("gateway", "upload", "files", "minio", "pg-upload", "pg-files", "k6"):
        assert last.cpu_s[part] > first.cpu_s.get(part, 0.0), part
        assert last.rss_bytes[part] > 1_000_000, part


def test_reports_belong_to_whoever_asked_for_them(measured: Bed) -> None:
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in newest(measured).rglob("*")}
    assert owners == {(os.getuid(), os.getgid())}


def test_old_runs_can_be_read_again(measured: Bed) -> None:
    run = newest(measured).name
    before = (newest(measured) / "report.html").read_bytes()
    measured.make("report", f"RUN={run}")
    assert (newest(measured) / "report.html").read_bytes() == before
    assert f"Ledger of {run}" in measured.good("ledger", f"RUN={run}")


def test_the_live_view_shows_every_container_and_what_it_uses(measured: Bed) -> None:
    done = measured.run("sh", "compose/make.sh", "compose", "top", "--once", timeout_s=TOLD_WITHIN_S)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout.splitlines()
    assert len(shown) <= 24
    assert max(map(len, shown)) <= 80
    for strategy in STRATEGIES:
        assert any(line.startswith(strategy) for line in shown), "Prometheus answers"
    (head,) = [number for number, line in enumerate(shown) if line.startswith("process ")]
    rows = [line.split() for line in shown[head + 1 : head + 12]]
    assert rows[-1][1] == "more"
    assert {row[1] for row in rows[:-1]} <= {"healthy", "running", "done"}
    assert all(float(row[2]) >= 0 and (int(row[3]) > 0 or row[1] == "done") for row in rows[:-1])
    assert sum(float(row[2]) for row in rows[:-1]) > 0
    assert f"{len((*PARTS, *ONCE)) - len(rows) + 1} more" in " ".join(rows[-1])


def test_what_is_wrong_is_said_once_and_fails(measured: Bed) -> None:
    done = measured.make("stress", "VUS=many", "SCALLE=2")
    assert done.returncode != 0
    assert done.stdout.count("VUS=many: expected a whole number") == 1
    assert "SCALLE" in done.stdout


@contextmanager
def hearing_interrupts() -> Iterator[None]:
    """A shell that starts the tests in the background has them, and whoever they start, ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_reaches_the_harness_and_leaves_an_honest_bundle(measured: Bed) -> None:
    log = measured.folder / "interrupted.txt"
    with log.open("wb") as out, hearing_interrupts():
        run = subprocess.Popen(
            measured.command("stress", "PROFILE=smoke"), cwd=ROOT, env=measured.env,
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    end = time.monotonic() + TOLD_WITHIN_S
    while UNDER_WAY not in log.read_text(encoding="utf-8"):
        assert time.monotonic() < end
        assert run.poll() is None, log.read_text(encoding="utf-8")
        time.sleep(0.1)
    assert "Another run is using this system" in measured.make("demo").stderr
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does
    run.wait(STRESS_WITHIN_S)
    told = log.read_text(encoding="utf-8")
    assert "Stopping: uploads under way may finish" in told
    assert "the run was interrupted" in " ".join(told.split())
    assert json.loads((newest(measured) / "manifest.json").read_text())["interrupted"] is True
    assert {line["failed"] for line in lines(newest(measured) / "ledger.jsonl")} == {False}
    assert "All checks passed." in measured.good("smoke"), "the system still runs"
    assert not measured.container("bench"), "nothing is left of it"


def test_what_a_killed_command_left_is_named_and_taken_away(measured: Bed) -> None:
    log = measured.folder / "killed.txt"
    with log.open("wb") as out:
        run = subprocess.Popen(
            measured.command("stress", "PROFILE=smoke", "RTT_MS=20"), cwd=ROOT, env=measured.env,
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    end = time.monotonic() + TOLD_WITHIN_S
    while UNDER_WAY not in log.read_text(encoding="utf-8"):
        assert time.monotonic() < end
        assert run.poll() is None, log.read_text(encoding="utf-8")
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    name = measured.facts("bench")["Name"].removeprefix("/")
    assert f"docker stop {name}" in measured.make("demo").stderr, "it goes on without its command"
    measured.inside("bench", "bash", "-c", "kill -9 $(cat /proc/1/task/1/children)")
    while measured.facts("bench")["State"]["Running"]:
        assert time.monotonic() < end
        time.sleep(0.1)
    told = measured.good("smoke", "RTT_MS=20")
    assert f"removing {name}, which a command left that was killed" in told
    assert "All checks passed." in told
    assert not measured.container("bench"), "nothing is left of it"
