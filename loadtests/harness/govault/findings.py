"""From the bundle of a study to what its report shows; equal bundles give equal findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from loadtests.harness.analyse import ledger_of
from loadtests.harness.claims import Decision
from loadtests.harness.govault import verdicts
from loadtests.harness.govault.records import Course, Findings, Missing, Ramp, Row, Told, read_course
from loadtests.harness.govault.rows import read_lines, row_of
from loadtests.harness.govault.source import FILE_BYTES, NAMES, RAMP_S
from loadtests.harness.govault.verdicts import Study
from loadtests.harness.k6.console import read_tail
from loadtests.harness.load import Files
from loadtests.harness.records.bundle import K6_FOLDER, Bundle
from loadtests.harness.records.samples import Look, Manifest
from loadtests.harness.report.conditions import cores, machine, measured, moment
from loadtests.harness.wording import count, duration, size

REACHED = 0.95  # of a level's clients that began a round
AUDIT_FAILED = 1


def findings_of(path: Path) -> Findings:
    """Raises ``BundleError``."""
    bundle, course = Bundle(path), read_course(path)
    bundle.refuse_torn()
    manifest = bundle.manifest()
    rows = tuple(_rows(path, bundle, course, manifest))
    missing = tuple(_missing(course, rows))
    ledger = ledger_of(bundle.ledgers())
    hashes = {settings.get("PASSWORD_HASH") for settings in manifest.settings.values()} - {None}
    found = Findings(
        run=course.run,
        headline="",
        about=_about(course, manifest),
        cautions=tuple(_cautions(course, rows, manifest, failed=ledger.failed)),
        facts=tuple(_facts(manifest, course)),
        scale=course.scale,
        time=course.time,
        interrupted=manifest.interrupted,
        rows=rows,
        missing=missing,
        claims=(),
        password_hash=str(hashes.pop()) if len(hashes) == 1 else None,
        ledger=ledger,
        warnings=bundle.warnings(),
        exit_code=AUDIT_FAILED if ledger.failed else 0,
    )
    return told(found)


def told(found: Findings) -> Findings:
    """The findings with every sentence judged by their figures, and the headline that counts the verdicts."""
    claims = verdicts.told(Study(found.rows, found.scale, found.password_hash))
    return found.model_copy(update={"claims": claims, "headline": _headline(found, claims)})


def _rows(path: Path, bundle: Bundle, course: Course, manifest: Manifest) -> Iterator[Row]:
    uploads, looks, cores = bundle.uploads(), bundle.looks(), manifest.host.get("cores")
    for ramp in course.ramps:
        if not ramp.run:
            continue
        console = Files.within(path / K6_FOLDER / ramp.stretch).console
        yield row_of(
            ramp,
            read_lines(read_tail(console)[0]),
            uploads=[one for one in uploads if one.stretch == ramp.stretch],
            user_ids=course.users,
            looks=_during(ramp, looks),
            cores=None if cores is None else float(cores),
        )


def _during(ramp: Ramp, looks: Sequence[Look]) -> list[Look]:
    begin, end = ramp.began_at or 0.0, ramp.ended_at or 0.0
    return [look for look in looks if begin <= look.at <= end]


def _missing(course: Course, rows: Sequence[Row]) -> Iterator[Missing]:
    """Ramps that were left out or cut short, and those that had fewer clients than their level says."""
    by_ramp = {(row.level, row.method): row for row in rows}
    for ramp in course.ramps:
        row = by_ramp.get((ramp.level, ramp.method))
        if ramp.stopped is not None:
            cut = "" if row is None else f" (cut short with {row.reached_vus} clients)"
            yield _missed(ramp, ramp.stopped, ramp.why + cut)
        elif row is None:
            yield _missed(ramp, "interrupt", "the study ended before it")
        elif row.reached_vus < REACHED * row.vus:
            yield _missed(ramp, "generator", f"only {row.reached_vus} clients began a round")


def _missed(ramp: Ramp, reason: str, why: str) -> Missing:
    return Missing(level=ramp.level, vus=ramp.vus, method=ramp.method, reason=reason, why=why)


def _headline(found: Findings, claims: Sequence[Told]) -> str:
    planned = {(row.level, row.method) for row in found.rows}
    planned |= {(one.level, one.method) for one in found.missing}
    whole = sum(row.whole for row in found.rows)
    decided = [one.decision for one in claims]
    counts = [f"{one.value}: {decided.count(one)}" for one in Decision if one in decided]
    return (
        f"{whole} of {len(planned)} of GoVault's ramps were run to their end, and its"
        f" {count(len(decided), 'sentence')} judged ({', '.join(counts)})."
    )


def _about(course: Course, manifest: Manifest) -> str:
    return (
        f"Files of {size(FILE_BYTES)}, zeros as in the source; ramps of {duration(RAMP_S * course.time)} (the"
        f" source's: {duration(RAMP_S)}); {cores(manifest.host.get('cores'))} for everything, load generator"
        f" included; {moment(manifest.started_at)}."
    )


def _cautions(course: Course, rows: Sequence[Row], manifest: Manifest, *, failed: bool) -> Iterator[str]:
    if failed:
        yield "The audit failed: what clients were told and what is stored do not agree (make ledger)."
    if manifest.interrupted:
        yield "The study was interrupted."
    if course.scale < 1:
        yield (
            f"SCALE={course.scale:g}: every number of clients is that part of the source's, so no level is"
            " one of its levels."
        )
    if course.time < 1:
        rounds = min((row.rounds / row.reached_vus for row in rows if row.reached_vus), default=None)
        few = "" if rounds is None else f"; at one level a client began {rounds:.1f} rounds on average"
        yield f"TIME={course.time:g}: ramps are that part of the source's length{few}."
    yield (
        "A ramp never stays at its number of clients: the label is its peak. Each ramp was run once, so"
        " differences between two rows may be chance; ratios rest on several levels together, what is said of"
        " 850 clients and more on those ramps alone."
    )


def _facts(manifest: Manifest, course: Course) -> Iterator[tuple[str, str]]:
    yield "machine", machine(manifest.host)
    yield "measured", measured(manifest.started_at, manifest.ended_at)
    yield "runs in", manifest.runtime
    yield "methods", "; ".join(f"{method}: {name}" for method, name in NAMES.items())
    yield "users", f"{len(course.users):,}, signed up before the load; the source counted their requests too"
    yield "command", manifest.command
    yield "checked", manifest.verified_how
    yield "revision", str(manifest.git_revision or "unknown")[:12]
