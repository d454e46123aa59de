"""A whole study: users once, then ramp by ramp from a clean state, audited and deleted before the next."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable

from loadtests.harness.govault.play import Seen, play, why_stopped
from loadtests.harness.govault.reach import Means, obstacle
from loadtests.harness.govault.records import COURSE, Course, Ramp
from loadtests.harness.govault.source import FILE_BYTES, GRACE_S, NAMES, RAMP_S, STRATEGIES
from loadtests.harness.k6.rows import Rows
from loadtests.harness.load import Files
from loadtests.harness.plan.room import available_bytes
from loadtests.harness.records.bundle import BundleWriter
from loadtests.harness.records.plan import Arm, Part, PartKind, Plan, Stretch
from loadtests.harness.records.samples import Warn
from loadtests.harness.running.books import Books
from loadtests.harness.running.manifest import make_manifest
from loadtests.harness.running.rig import Rig

ASKS = "What is left of GoVault's study on this machine?"
Say = Callable[[str], None]  # a line that stays
Show = Callable[[str], None]  # what goes on now


async def run_study(
    rig: Rig, course: Course, writer: BundleWriter, command: str, *, say: Say, show: Show
) -> Course:
    """Run every ramp that can be run. An interrupt ends in an audited bundle that says so."""
    started_at, began = time.time(), time.monotonic()
    _keep(writer, course)
    most = max(ramp.vus for ramp in course.ramps)
    show(f"signing up {most} users")
    await rig.hold.create_identities(course.run, most)
    course = course.model_copy(update={"users": tuple(user.user_id for user in rig.hold.identities)})
    _keep(writer, course)
    manifest = await make_manifest(rig, _plan_of(course), started_at=started_at, command=command)
    manifest = manifest.model_copy(update={"profile": "study"})
    writer.write_manifest(manifest)
    await rig.pin()
    warnings: list[Warn] = []
    audits = 0
    async with rig.stopped_by_the_clock(warnings, say):
        try:
            for at, ramp in enumerate(course.ramps):
                left_s = None if course.budget_s is None else began + course.budget_s - time.monotonic()
                done = _not_run(rig, ramp, course, left_s)
                if done is None:
                    await rig.hold.fresh_tokens()
                    done = await _audited(
                        rig, course, at + 1, writer, warnings=warnings, audits=audits, show=show
                    )
                    audits += 1
                course = course.with_ramp(at, done)
                _keep(writer, course)
                say(f"{_title(done)}: {done.stopped or 'done'}{f' ({done.why})' if done.why else ''}")
        finally:
            writer.append_events(rig.take_events())
            writer.write_warnings(warnings)
            ended = {"ended_at": rig.now(), "interrupted": rig.stop.is_set()}
            writer.write_manifest(manifest.model_copy(update=ended))
    return course


def _keep(writer: BundleWriter, course: Course) -> None:
    writer.write_json(COURSE, course.model_dump(mode="json"))


def _not_run(rig: Rig, ramp: Ramp, course: Course, left_s: float | None) -> Ramp | None:
    """The ramp with the reason why it is left out; nothing where it can be run."""
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    means = Means(available_bytes(), course.disk_bytes, open_files, left_s)
    found = why_stopped(rig) if rig.stop.is_set() else obstacle(ramp, course.time, means)
    return None if found is None else ramp.model_copy(update={"stopped": found[0], "why": found[1]})


async def _audited(
    rig: Rig,
    course: Course,
    number: int,
    writer: BundleWriter,
    *,
    warnings: list[Warn],
    audits: int,
    show: Show,
) -> Ramp:
    """Play a ramp, judge every upload of it and delete them all."""
    ramp = course.ramps[number - 1]
    part, stretch = _as_part(ramp), _as_stretch(ramp, course.time)
    console = Files.within(writer.k6_folder / ramp.stretch).console
    with contextlib.closing(Rows(course.run)) as rows:
        books = Books(rig, rows, writer, console, seed=number, warnings=warnings, audits=audits)
        left = len(course.ramps) - number
        show(f"{_title(ramp)}: cleaning")
        await books.clean()
        books.play(number, stretch, part)
        writer.append_stretch(stretch)
        rig.event("stretch-start", stretch=ramp.stretch, part=part.name)

        def tell(seen: Seen) -> None:
            since_s = 0.0 if seen.first_at is None else time.time() - seen.first_at
            show(
                f"{_title(ramp)}: {since_s:.0f} s of {RAMP_S * course.time:.0f} s, {len(seen.vus)} clients,"
                f" {seen.acked} files, {seen.failed} of {seen.requests} requests failed; {left} ramps to come"
            )

        with rig.activity.stretch(stretch):
            done = await play(rig, course, number, writer, tell)
        rig.event("stretch-end", stretch=ramp.stretch)
        show(f"{_title(ramp)}: auditing")
        # What k6 had begun when its ramp ended was cut off, and is judged as it stands.
        await books.audit(clients_came_back=False)
    writer.append_events(rig.take_events())
    return done


def _title(ramp: Ramp) -> str:
    return f"{ramp.vus} clients {NAMES[ramp.method]}"


def _as_part(ramp: Ramp) -> Part:
    """The ramp for the books: one arm."""
    arm = Arm(
        name=f"{ramp.method} {ramp.vus} VU", of=ramp.method, title=NAMES[ramp.method], colour="#000000",
        strategy=STRATEGIES[ramp.method], file_size_bytes=FILE_BYTES, piece_bytes=FILE_BYTES, vus=ramp.vus,
    )  # fmt: skip
    return Part(name=arm.name, kind=PartKind.LEVELS, arms=(arm,), period_s=RAMP_S)


def _as_stretch(ramp: Ramp, factor: float) -> Stretch:
    """The ramp for books and dashboards; its load begins a little later, when k6 has made its clients."""
    name = _as_part(ramp).name
    return Stretch(
        stretch=ramp.stretch, part=name, t0=time.time(), period_s=RAMP_S * factor + GRACE_S, order=(name,),
        blocks=(0,),
    )  # fmt: skip


def _plan_of(course: Course) -> Plan:
    """What the manifest wants to know."""
    return Plan(
        run=course.run, question="govault", asks=ASKS, profile="full", seed=0, words=course.words, arms=(),
        parts=(), margin=0.1, precision=0.05, budget_s=course.budget_s or 0.0, disk_bytes=course.disk_bytes,
        login_each=True,
    )  # fmt: skip
