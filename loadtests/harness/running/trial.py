"""One trial: clean state, quiet host, k6 with its window, settle, audit, record."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from loadtests.harness.auditing.audit_raw import audit_raw
from loadtests.harness.auditing.ledger_console import read_console
from loadtests.harness.auditing.ledger_records import Baseline
from loadtests.harness.planning.payload import UploadRow, upload_ref, write_pattern, write_table
from loadtests.harness.planning.plan import ALONE
from loadtests.harness.records.bundle import BundleWriter
from loadtests.harness.records.model import Load, Question, Severity, Trial, TrialPlan, Warn
from loadtests.harness.running import arms, counters, k6, raw
from loadtests.harness.running.clean import Cleaned
from loadtests.harness.running.console import read_summary
from loadtests.harness.running.counters import Scrape
from loadtests.harness.running.k6 import K6, Files
from loadtests.harness.running.observe import Observer, wait_quiet
from loadtests.harness.running.phases import Phases
from loadtests.harness.running.progress import Progress
from loadtests.harness.running.rig import Rig
from loadtests.harness.running.trial_numbers import Window
from loadtests.harness.running.trial_record import Course, Evidence, make_trial

QUIET_LIMIT_S = 15.0
START_LIMIT_S = 60.0
DRAIN_LIMIT_S = 90.0
# VUs begin spread over this long, so that their first uploads are no burst; the same in both arms.
SPREAD_PER_VU_S = 0.025


class K6Folder(Protocol):
    """Whoever knows where k6's files of a trial belong."""

    def k6_path(self, trial: str, suffix: str) -> Path: ...


async def run_trial(rig: Rig, plan: TrialPlan, writer: BundleWriter, progress: Progress) -> Trial:
    """Run one trial and write all it leaves behind. An interrupt still ends in an audited record."""
    started_at = time.time()
    rig.event("trial-start", plan.trial, arm=plan.arm, level=plan.level, question=plan.question.value)
    phases = Phases(progress, rig, plan.trial)
    phases.phase("clean")
    cleaned = await _clean(rig, plan)
    phases.phase("quiet")  # only store and databases must come to rest: what costs them nothing goes on
    (files, rows), surroundings, settings, before, busy = await asyncio.gather(
        asyncio.to_thread(prepare, rig, plan, writer),
        _surroundings(rig),
        rig.settings(),
        counters.scrape_all(rig.http, rig.system.admin_urls),
        _rest(rig, plan),
    )

    gateways = rig.system.replicas("gateway").values()
    observer = Observer(rig.testbed, await rig.watched(), rig.http, gateways, trial=plan.trial)
    course = await _load(rig, plan, files, surroundings, observer=observer, phases=phases)
    after_load = await counters.scrape_all(rig.http, rig.system.admin_urls)

    phases.phase("audit")
    evidence = await _audit(rig, plan, files, rows, cleaned.baseline)
    evidence.warnings += (*cleaned.warnings(plan.trial), *_noisy(plan.trial, busy))
    trial = make_trial(
        plan,
        course=course,
        evidence=evidence,
        processes=observer.uses(course.begin, course.end),
        counters=counters.differences(before, after_load),
        monitor=observer.samples,
        config={"strategy": plan.arm} | arms.flat_config(settings, _workload(rig, plan)),
        started_at=started_at,
        ended_at=time.time(),
        cores=rig.cores,
        interrupted=rig.stop.is_set(),
    )
    rig.learn(trial)
    _write(rig, writer, trial, evidence, observer)
    return trial


async def _rest(rig: Rig, plan: TrialPlan) -> dict[str, float]:
    watched = await rig.testbed.watched()
    return await wait_quiet(rig.testbed, watched, limit_s=QUIET_LIMIT_S, quiet_s=plan.rest_s)


async def _clean(rig: Rig, plan: TrialPlan) -> Cleaned:
    """The arm's settings, nothing of earlier trials, tokens that last, everything on its processors."""
    await arms.apply_arm(rig, plan.arm)
    cleaned = await rig.cleaner.clean()
    await rig.fresh_tokens()
    await rig.pin()
    return cleaned


def _write(rig: Rig, writer: BundleWriter, trial: Trial, evidence: Evidence, observer: Observer) -> None:
    writer.append_uploads(evidence.samples)
    writer.append_steps(evidence.steps)
    writer.append_monitor(observer.take())
    if evidence.table is not None:
        writer.append_ledger(evidence.table)
    writer.append_trial(trial)
    rig.event("trial-end", trial.plan.trial, goodput_per_s=trial.goodput_per_s, validity=trial.validity.value)
    writer.append_events(rig.take_events())


def _workload(rig: Rig, plan: TrialPlan) -> dict[str, object]:
    return {
        "runtime": rig.testbed.runtime,
        "file_size_bytes": plan.file_size_bytes,
        "login_each": plan.load.login_each,
        "identities": len(rig.identities),
        "k6_program": rig.k6_program.name,
        "verify": "all" if rig.auditor.read_all else "sample",
    }


def piece_bytes(rig: Rig, plan: TrialPlan) -> int:
    """Size of one request's body in this trial; the whole file where no strategy decides."""
    strategy = rig.strategies.get(plan.arm)
    return (
        plan.file_size_bytes
        if strategy is None
        else strategy.piece_bytes(plan.file_size_bytes, rig.piece_bytes)
    )


def prepare(rig: Rig, plan: TrialPlan, folder: K6Folder) -> tuple[Files, list[UploadRow]]:
    """Tables and pattern in the work folder; k6's own output goes where its folder says, mostly a bundle."""
    rows: list[UploadRow] = []
    table = pattern = None
    if plan.arm != ALONE:
        payload = rig.payload(plan.file_size_bytes, piece_bytes(rig, plan))
        bytes_per_s = rig.bytes_per_s(plan.file_size_bytes)
        count = k6.table_rows(plan.load, plan.file_size_bytes, bytes_per_s, linger_s(rig))
        refs = [upload_ref(rig.run, plan.trial, index) for index in range(count)]
        with ThreadPoolExecutor() as threads:  # hashing leaves the interpreter's lock free
            rows = list(threads.map(payload.row, refs))
        bucket = rig.system.endpoints.s3_bucket
        urls = raw.presign(rig.presigner, bucket, rows) if plan.arm == raw.RAW_ARM else None
        table, pattern = rig.work_dir / "table.json", rig.work_dir / f"pattern-{plan.file_size_bytes}"
        write_table(table, payload, rows, urls=urls)
        if not pattern.exists():
            write_pattern(pattern, payload)
    files = Files(
        table=table,
        pattern=pattern,
        identities=rig.identities_file,
        console=folder.k6_path(plan.trial, "console.jsonl").resolve(),
        summary=folder.k6_path(plan.trial, "summary.json").resolve(),
        log=folder.k6_path(plan.trial, "log").resolve(),
    )
    return files, rows


async def _surroundings(rig: Rig) -> dict[str, str]:
    """What k6 is told about the system it runs against: who listens to its figures, where the store is."""
    variables = k6.to_prometheus(rig.system.prometheus_url) if await rig.pushes_to_prometheus() else {}
    if hosts := await rig.system.store.k6_hosts():
        variables["HOSTS"] = json.dumps(hosts)
    return variables


async def _load(
    rig: Rig,
    plan: TrialPlan,
    files: Files,
    surroundings: Mapping[str, str],
    *,
    observer: Observer,
    phases: Phases,
) -> Course:
    """k6 from its start to its end, with exact looks at the window's bounds."""
    strategy = rig.strategies.get(plan.arm)
    variables = k6.environment(
        plan,
        files,
        gateway_url=rig.system.gateway_url,
        strategy=strategy,
        piece_bytes=piece_bytes(rig, plan),
        start_spread_s=start_spread_s(plan.load),
        linger_s=linger_s(rig),
        journey=plan.question is Question.JOURNEY,
    )
    variables |= surroundings
    phases.phase("start")
    # All tags here: one on the command line makes k6 forget those of the script.
    tags = {"testid": rig.run, "arm": plan.arm}
    child = await k6.start_k6(rig.k6_program, files, variables, tags=tags, cores=rig.cores.generator)
    observer.watch_child("k6", child.process.pid)
    sampling = asyncio.create_task(observer.run())
    try:
        with rig.activity.trial(plan):
            return await _phases(rig, plan, child, observer, phases)
    finally:
        await child.stop()
        sampling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sampling


def linger_s(rig: Rig) -> float:
    """How late the window's end may be: both of its bounds wait for a look."""
    return 2 * rig.testbed.look_s


def start_spread_s(load: Load) -> float:
    """How long the first uploads of a closed loop are spread. Open arrivals keep their own schedule."""
    if load.executor == "constant-arrival-rate":
        return 0.0
    return min(load.warmup_s / 2, SPREAD_PER_VU_S * (load.vus or 0))


async def _phases(rig: Rig, plan: TrialPlan, child: K6, observer: Observer, phases: Phases) -> Course:
    # An exact count of iterations and a shape of stages have no window of their own: all of it counts.
    whole = plan.load.executor in ("per-vu-iterations", "ramping-vus")
    # A look that takes a second to come would miss the beginning of what is counted whole.
    early = await observer.begin_window() if whole and rig.testbed.look_s else None
    course = Course(load_started_at=await child.wait_started(START_LIMIT_S))
    load, start = plan.load, course.load_started_at
    phases.load(child.files.console)
    if not whole:
        phases.phase("warm-up", load.warmup_s)
        await _until(start + load.warmup_s, child, rig)
    begin = early or await observer.begin_window()
    gateway_before = await _gateway(rig)
    phases.phase("window", load.window_s or k6.load_s(load))
    latest = start + k6.load_s(load) + DRAIN_LIMIT_S
    await _until(latest if whole else max(start + load.warmup_s, begin.at) + load.window_s, child, rig)
    course.begin, course.end = begin, await observer.end_window()
    course.gateway = (gateway_before, await _gateway(rig))
    course.window = Window(start if whole else begin.at, course.end.at)
    phases.phase("cool-down")
    if rig.stop.is_set():
        course.exit_code = await child.stop()
    else:
        course.exit_code = await child.wait_ended(DRAIN_LIMIT_S)
    course.load_ended_at = time.time()
    return course


async def _until(when: float, child: K6, rig: Rig) -> None:
    """Wait for an instant, k6's end or an interrupt, whichever comes first."""
    waits = [asyncio.create_task(child.process.wait()), asyncio.create_task(rig.stop.wait())]
    try:
        await asyncio.wait(waits, timeout=max(0.0, when - time.time()), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _gateway(rig: Rig) -> Scrape | None:
    gateways = rig.system.replicas("gateway")
    return counters.total(await counters.scrape_all(rig.http, gateways), gateways)


async def _audit(
    rig: Rig, plan: TrialPlan, files: Files, rows: list[UploadRow], baseline: Baseline
) -> Evidence:
    console = read_console(files.console, plan.trial, [user.user_id for user in rig.identities])
    summary = read_summary(files.summary, exit_code=0)
    evidence = Evidence(console=console, summary=summary, steps=console.steps, settled_at=time.time())
    if plan.arm == raw.RAW_ARM:
        evidence.table = await audit_raw(rig.auditor.store, plan, console, rows)
    elif plan.arm != ALONE:
        beside = plan.load.login_rate_per_s > 0 or plan.load.list_rate_per_s > 0
        audit = await rig.auditor.audit(
            plan, console, baseline=baseline, rows=rows, iterations=None if beside else summary.iterations
        )
        evidence.table, evidence.samples = audit.table, audit.samples
        evidence.warnings += audit.warnings
        evidence.clock_offset_s = audit.clock_offset_s
        evidence.settled_at += audit.settled.waited_s
    return evidence


def _noisy(trial: str, busy: Mapping[str, float]) -> tuple[Warn, ...]:
    return tuple(
        Warn(
            code="noisy-host",
            severity=Severity.CAUTION,
            message=f"{name} was still busy when the trial began",
            metric=f"{name} cores",
            value=round(cores, 3),
            limit=0.03,
            advice="wait until nothing else uses the system",
            trial=trial,
        )
        for name, cores in busy.items()
    )
