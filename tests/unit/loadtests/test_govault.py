"""The source's study: which ramps can be run, what becomes of one, and of sentences."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from docs import study as study_page
from loadtests.harness.claims import Decision
from loadtests.harness.commands.compare import compare
from loadtests.harness.commands.report import finish
from loadtests.harness.commands.runs import runs
from loadtests.harness.commands.share import share
from loadtests.harness.govault import verdicts
from loadtests.harness.govault.play import Seen, exhausted
from loadtests.harness.govault.reach import Means, obstacle, planned, seconds_of
from loadtests.harness.govault.records import COURSE, FINDINGS, Course, Ramp, Row, Step
from loadtests.harness.govault.report import read_findings
from loadtests.harness.govault.rows import CUT_OFF, FAILED, NO_ROUND, NO_UPLOAD, read_lines, row_of
from loadtests.harness.govault.source import LEVELS, PEAK_VUS, PUBLISHED, RAMP_S, STEPS, Method
from loadtests.harness.govault.verdicts import Study
from loadtests.harness.intervals import of_all
from loadtests.harness.load import SCRIPTS
from loadtests.harness.records.bundle import BundleError, BundleWriter
from loadtests.harness.records.result import Interval, Latency
from loadtests.harness.records.samples import Look, UploadSample
from loadtests.harness.records.vocabulary import LedgerClass
from loadtests.harness.words import STUDY_BUDGET_S, WordsError, read_study
from tests.unit.loadtests import fabricate as make

pytestmark = pytest.mark.unit

GIB, MIB = 1024**3, 1024**2
PLENTY = Means(memory_bytes=64 * GIB, disk_bytes=8 * GIB, open_files=65_536, left_s=None)
T0 = 1_789_000_000.0


class TestWords:
    def test_by_themselves_the_whole_study_in_twenty_minutes(self) -> None:
        found = read_study({})
        assert (found.scale, found.time, found.budget_s) == (1.0, 0.1, STUDY_BUDGET_S)
        assert sum(seconds_of(ramp, found.time) for ramp in planned(1.0)) < STUDY_BUDGET_S

    def test_who_types_a_time_decides_how_long_it_takes(self) -> None:
        assert read_study({"TIME": "1"}).budget_s is None
        assert read_study({"TIME": "1", "BUDGET_S": "600"}).budget_s == 600

    def test_everything_wrong_at_once(self) -> None:
        with pytest.raises(WordsError) as caught:
            read_study({"SCALE": "2", "TIME": "x", "DISK": "1MB", "BUDGET_S": "1"})
        names = [problem.partition("=")[0] for problem in caught.value.problems]
        assert names == ["SCALE", "TIME", "BUDGET_S", "DISK"]


class TestReach:
    def test_the_scripts_ramp_is_the_one_that_the_plan_counts_with(self) -> None:
        text = (SCRIPTS / "govault" / "ramp.js").read_text(encoding="utf-8")
        (shape,) = re.findall(r"stress: (\[.*\]),\n", text)
        stages = json.loads(shape)
        assert sum(seconds for seconds, _ in stages) == RAMP_S
        assert max(vus for _, vus in stages) == PEAK_VUS == max(LEVELS)

    def test_each_level_has_both_methods_and_each_is_first_at_some(self) -> None:
        ramps = planned(0.1)
        assert [ramp.vus for ramp in ramps[::2]] == [20, 40, 60, 75, 85, 92, 100]
        assert {(ramp.level, ramp.method) for ramp in ramps} == {(lv, m) for lv in LEVELS for m in STEPS}
        assert [ramp.method for ramp in ramps[:4]] == ["proxy", "direct", "direct", "proxy"]
        assert len({ramp.stretch for ramp in ramps}) == len(ramps)

    @pytest.mark.parametrize(
        ("means", "reason", "said"),
        [
            (
                {"memory_bytes": 4 * GIB},
                "memory",
                "1000 clients with a copy of the file each need about 7.1 GiB",
            ),
            ({"disk_bytes": GIB}, "disk", "may fill 2.0 GiB, and 1.0 GiB may be used"),
            ({"open_files": 1024}, "nofile", "open 2500 files, and a process may open 1024"),
            ({"left_s": 30.0}, "time-budget", "it may take 82 s, and 30 s were left"),
        ],
    )
    def test_what_stands_in_the_way_of_a_thousand_clients(
        self, means: dict[str, Any], reason: str, said: str
    ) -> None:
        (largest,) = (one for one in planned(1.0) if (one.level, one.method) == (1000, "proxy"))
        assert obstacle(largest, 0.1, PLENTY) is None
        changed = Means(**{name: means.get(name, getattr(PLENTY, name)) for name in PLENTY.__slots__})
        found = obstacle(largest, 0.1, changed)
        assert found is not None and found[0] == reason
        assert said in found[1]

    def test_a_ramp_is_cut_short_before_disk_or_memory_run_out(self) -> None:
        seen = Seen(Path("none"), acked=90, vus=set(range(10)))
        assert exhausted(seen, 101 * MIB, GIB) is None
        assert (exhausted(seen, 100 * MIB, GIB) or ("",))[0] == "disk"
        assert (exhausted(seen, GIB, GIB // 4) or ("",))[0] == "memory"


def q(
    user: int, step: str, at: float, took_ms: float = 10.0, status: int = 200, *, code: str | None = None
) -> dict[str, Any]:
    return {"e": "q", "step": step, "t": (T0 + at) * 1000, "d": took_ms, "st": status, "c": code, "u": user}


def begun(user: int, at: float) -> dict[str, Any]:
    return {"e": "q", "step": "round", "t": (T0 + at) * 1000, "u": user}


def sample(user: int, kind: LedgerClass, **given: Any) -> UploadSample:
    values: dict[str, Any] = {
        "upload_ref": f"u{user}-{kind}", "stretch": "s001", "arm": "proxy 5 VU", "user_id": f"id-{user}",
        "size_bytes": MIB, "intent_at": T0, "ledger": kind,
    }  # fmt: skip
    return UploadSample.model_validate(values | given)


# Five clients: one has a file, one failed, one was cut off, one hung in the login, one never began.
LINES = [
    begun(0, 0.0), q(0, "login", 0.0, 500.0), q(0, "list", 1.5), q(0, "session", 2.5),
    {"e": "i", "u": 0}, q(0, "chunk", 2.6, 100.0), {"e": "o", "u": 0, "ok": True},
    begun(0, 3.0), q(0, "login", 3.0, 1000.0, 0, code="transport-1050"),
    begun(1, 1.0), q(1, "login", 1.0), q(1, "list", 2.0), {"e": "i", "u": 1}, q(1, "session", 3.0, 5.0, 503),
    {"e": "o", "u": 1, "ok": False},
    begun(2, 1.0), q(2, "login", 1.0), q(2, "list", 2.0), {"e": "i", "u": 2}, q(2, "session", 3.0),
    begun(3, 2.0),
]  # fmt: skip
IDS = [f"id-{n}" for n in range(5)]
UPLOADS = [
    sample(0, LedgerClass.VERIFIED), sample(1, LedgerClass.NO_TRACE, failed_at=T0 + 3),
    sample(2, LedgerClass.STUCK),
]  # fmt: skip


def look(at: float, busy_s: float, k6_mib: int, **cpu_s: float) -> Look:
    return Look(
        at=T0 + at, cpu_s=cpu_s, lives=dict.fromkeys(cpu_s, 1), rss_bytes={"k6": k6_mib * MIB},
        host_busy_s=busy_s,
    )  # fmt: skip


def made_row(lines: Sequence[dict[str, Any]] = LINES) -> Row:
    ramp = Ramp(stretch="s001", level=200, vus=5, method="proxy", began_at=T0, ended_at=T0 + 5, iterations=2)
    raw = [json.dumps(line).encode() for line in lines]
    looks = [look(0, 10.0, 50, gateway=1.0, k6=0.0), look(4, 16.0, 80, gateway=3.0, k6=2.0)]
    return row_of(ramp, read_lines([*raw, b"{torn"]), uploads=UPLOADS, user_ids=IDS, looks=looks, cores=2.0)


class TestARow:
    def test_every_request_counts(self) -> None:
        row = made_row()
        assert (row.requests, row.failed, row.rounds, row.reached_vus) == (11, 2, 5, 4)
        assert row.errors.value == pytest.approx(2 / 11)
        assert row.seconds == pytest.approx(4.0), "to the answer that came last, though it was none"
        assert row.rps == pytest.approx(11 / 4)
        assert row.failures == {"login transport-1050": 1, "session 503": 1}

    def test_files_are_those_of_the_ledger(self) -> None:
        row = made_row()
        assert (row.intents, row.acked, row.verified, row.lost, row.iterations) == (3, 1, 1, 0, 2)
        assert row.files_per_s == pytest.approx(1 / 4)
        assert row.other_classes == {"G-01": 1, "G-06": 1}

    def test_users_without_a_file_by_what_became_of_them(self) -> None:
        row = made_row()
        assert row.users_without == 4
        assert row.without_why == {FAILED: 1, CUT_OFF: 1, NO_UPLOAD: 1, NO_ROUND: 1}

    def test_the_funnel(self) -> None:
        steps = {one.step: (one.tried, one.ok) for one in made_row().steps}
        assert steps == {"login": (4, 3), "list": (3, 3), "session": (3, 2), "chunk": (1, 1)}

    def test_clients_at_once_are_measured(self) -> None:
        """0: 4 s; 1: from 1 to 3.005; 2: from 1 to 3.01; 3: from 2 to the end."""
        assert made_row().mean_vus == pytest.approx((4 + 2.005 + 2.01 + 2) / 4)

    def test_processors_and_memory(self) -> None:
        row = made_row()
        assert row.cpu_share == {"gateway": pytest.approx(0.25), "k6": pytest.approx(0.25)}
        assert row.busy_share == pytest.approx(0.75)
        assert row.k6_peak_bytes == 80 * MIB

    def test_a_ramp_without_an_answer(self) -> None:
        row = made_row([begun(0, 0.0)])
        assert (row.requests, row.rps, row.errors.value, row.median.ms.value) == (0, 0.0, None, None)


def latency(ms: float) -> Latency:
    return Latency(q=0.5, samples=500, minimum=20, ms=Interval(n=500, value=ms))


def row(level: int, method: Method, **given: Any) -> Row:
    """A ramp that ended: as many files as in the source, with its requests for each."""
    asked = len(STEPS[method])
    values: dict[str, Any] = {
        "level": level, "vus": level, "method": method, "reached_vus": level, "mean_vus": level / 2,
        "seconds": 36.0, "rounds": 1200, "iterations": 1100, "requests": 1000 * asked, "failed": 0,
        "errors": of_all(0, 1000 * asked), "rps": 35.0 * asked, "median": latency(60), "p95": latency(1500),
        "intents": 1000, "acked": 1000, "verified": 1000, "files_per_s": 35.0, "lost": 0, "other_classes": {},
        "users": level, "users_without": 0, "without_why": {}, "failures": {},
        "steps": tuple(
            Step(step=name, tried=900, ok=900, median=latency(50), p95=latency(60)) for name in STEPS[method]
        ),
        "cpu_share": {"gateway": 0.1, "auth": 0.2, "upload": 0.1, "files": 0.1, "k6": 0.2},
        "busy_share": 0.95, "k6_peak_bytes": (50 + 3 * level) * MIB, "whole": True,
    }  # fmt: skip
    return Row.model_validate(values | given)


def study(scale: float = 1.0, levels: Sequence[int] = LEVELS, **of_proxy: Any) -> Study:
    rows = [
        row(level, method, **(of_proxy if method == "proxy" else {})) for level in levels for method in STEPS
    ]
    # No two levels agree exactly: an interval needs a spread.
    spread = [
        one.model_copy(
            update={"files_per_s": one.files_per_s * (1 + 0.004 * at), "rps": one.rps * (1 - 0.004 * at)}
        )
        for at, one in enumerate(rows)
    ]
    return Study(spread, scale, "argon2id")


def steps_of(method: Method, logins: int, p95_ms: float = 60) -> tuple[Step, ...]:
    """All of 900 tries of each step came through, but of the logins only ``logins``."""
    return tuple(
        Step(step=name, tried=900, ok=came, median=latency(50), p95=latency(p95_ms))
        for name in STEPS[method]
        for came in (logins if name == "login" else 900,)
    )


def waits(**from_600_on: Any) -> Study:
    """Direct, every wait is about half as long as through the server; ``logins`` of 900 are answered."""
    logins = from_600_on.pop("logins", 900)
    rows = []
    for place, level in enumerate(LEVELS):
        late = level >= 600
        for method in STEPS:
            p95_ms = 1000.0 if method == "proxy" else 500.0 + place
            steps = steps_of(method, logins if late else 900, p95_ms)
            rows.append(row(level, method, p95=latency(p95_ms), steps=steps, **(from_600_on if late else {})))
    return Study(rows, 1.0, None)


class TestVerdicts:
    def test_more_requests_are_not_more_files(self) -> None:
        said = verdicts.throughput(study())
        assert said.decision is Decision.MIXED
        assert "6 requests direct and 4 through the server" in said.why

    def test_over_few_levels_nothing_is_decided(self) -> None:
        said = verdicts.throughput(study(levels=LEVELS[:3]))
        assert said.decision is Decision.UNDECIDED
        assert "at 3 levels; it takes 6" in said.why

    @pytest.mark.parametrize(
        ("failed", "decision"),
        [(560, Decision.HOLDS), (4, Decision.REFUTED), (280, Decision.UNDECIDED)],
    )
    def test_what_fails_through_the_server(self, failed: int, decision: Decision) -> None:
        found = study(failed=failed, errors=of_all(failed, 4000), failures={"login 503": failed})
        assert verdicts.proxy_breaks(found).decision is decision

    @pytest.mark.parametrize(
        ("direct_failed", "decision"),
        [(20, Decision.HOLDS), (450, Decision.UNDECIDED), (720, Decision.REFUTED)],
    )
    def test_direct_requests_that_fail_too(self, direct_failed: int, decision: Decision) -> None:
        """Of 6,000: 0.3 %, 7.5 % (6.8 to 8.2) and 12 % (11 to 13), beside 17 % through the server."""
        rows = [
            row(850, "proxy", failed=690, errors=of_all(690, 4000)),
            row(850, "direct", failed=direct_failed, errors=of_all(direct_failed, 6000)),
        ]
        assert verdicts.proxy_breaks(Study(rows, 1.0, None)).decision is decision

    def test_equal_losses_of_logins_look_unequal_over_all_requests(self) -> None:
        rows = [
            row(850, "proxy", steps=steps_of("proxy", 279)),
            row(850, "direct", steps=steps_of("direct", 252)),
        ]
        assert verdicts.proxy_breaks(Study(rows, 1.0, None)).why.endswith(
            "Of the logins 69 % failed through the server and 72 % direct; a login is one of 4 requests"
            " through the server and one of 6 direct."
        )
        assert "Of the logins" not in verdicts.proxy_breaks(study()).why

    @pytest.mark.parametrize(
        ("ok", "decision", "levels"),
        [(900, Decision.HOLDS, 7), (855, Decision.HOLDS, 7), (854, Decision.UNDECIDED, 2)],
    )
    def test_the_p95_of_what_was_not_answered_is_not_compared(
        self, ok: int, decision: Decision, levels: int
    ) -> None:
        said = verdicts.neighbours(waits(logins=ok))
        assert said.decision is decision
        assert re.search(rf"p95 of login, .* over {levels} levels; p95 of list, .* over 7 levels", said.ours)
        assert ("at 2 levels; it takes 6. A level counts where at least 95 %" in said.why) is (levels == 2)

    @pytest.mark.parametrize(
        ("failed", "decision", "levels"), [(50, Decision.HOLDS, 7), (51, Decision.UNDECIDED, 2)]
    )
    def test_quicker_is_said_of_answers(self, failed: int, decision: Decision, levels: int) -> None:
        """Failures of 1,000 requests, from 600 clients on."""
        said = verdicts.quicker(waits(requests=1000, failed=failed))
        assert said.decision is decision
        assert said.ours.endswith(f"over {levels} levels")

    @pytest.mark.parametrize("scale", [0.5, 0.1])
    def test_levels_of_another_scale_are_not_the_sources(self, scale: float) -> None:
        said = verdicts.proxy_breaks(study(scale))
        assert said.decision is Decision.NOT_REACHED
        assert said.why == f"SCALE={scale:g}: no ramp has 850 clients."

    def test_ghosts(self) -> None:
        assert verdicts.ghosts(study()).decision is Decision.REFUTED
        assert verdicts.ghosts(study(lost=1)).decision is Decision.HOLDS
        assert verdicts.ghosts(study(acked=20)).decision is Decision.UNDECIDED

    @pytest.mark.parametrize(
        ("why", "decision"),
        [
            ({}, Decision.NOT_REACHED),
            ({NO_UPLOAD: 3, CUT_OFF: 2}, Decision.HOLDS),
            ({NO_UPLOAD: 3, FAILED: 2}, Decision.MIXED),
            ({FAILED: 5}, Decision.REFUTED),
            ({NO_ROUND: 1}, Decision.NOT_REACHED),
            ({NO_ROUND: 1, CUT_OFF: 2}, Decision.HOLDS),
            ({NO_ROUND: 1, FAILED: 2}, Decision.REFUTED),
        ],
    )
    def test_users_without_a_file(self, why: dict[str, int], decision: Decision) -> None:
        found = study(without_why=why, users_without=sum(why.values()))
        assert verdicts.starved(found).decision is decision

    def test_who_never_began_was_not_starved(self) -> None:
        said = verdicts.starved(study(without_why={NO_ROUND: 1}, users_without=1))
        assert said.ours == "849 of 850 users have a file; 1 never began a round"
        assert said.why == "Nobody who began was left out."

    def test_the_gap_between_kinds_is_not_inside_them(self) -> None:
        assert verdicts.head_of_line(study()).decision is Decision.REFUTED
        wide = tuple(
            Step(step=name, tried=100, ok=100, median=latency(60), p95=latency(1400))
            for name in STEPS["proxy"]
        )
        found = Study([row(level, "proxy", steps=wide) for level in LEVELS], 1.0, None)
        assert verdicts.head_of_line(found).decision is Decision.HOLDS

    @pytest.mark.parametrize(
        ("logins", "decision", "ramps"),
        [(855, Decision.HOLDS, 14), (854, Decision.UNDECIDED, 4)],
    )
    def test_a_gap_that_is_a_time_limit_is_no_waiting(
        self, logins: int, decision: Decision, ramps: int
    ) -> None:
        """Of 900 logins, from 600 clients on: with less than 95 % their p95 is that of failures."""
        said = verdicts.head_of_line(waits(logins=logins))
        assert said.decision is decision
        assert said.ours.endswith(f" over {ramps} ramps")
        reason = "It takes 6 ramps. A ramp counts where at least 95 % of each kind of request were answered"
        assert said.why.startswith(reason) is (ramps == 4)

    def test_a_study_of_failures_says_nothing_of_waiting(self) -> None:
        rows = [row(level, "proxy", steps=steps_of("proxy", 100)) for level in LEVELS]
        said = verdicts.head_of_line(Study(rows, 1.0, None))
        assert said.decision is Decision.NOT_REACHED
        assert said.why.startswith("A ramp counts where")

    def test_another_hash_decides_nothing(self) -> None:
        said = verdicts.password_hash(study())
        assert said.decision is Decision.NOT_REACHED
        assert said.ours.startswith("auth takes 40 %")

    def test_memory_of_the_generator(self) -> None:
        assert verdicts.generator_memory(study()).decision is Decision.HOLDS
        assert verdicts.generator_memory(study(levels=LEVELS[:2])).decision is Decision.NOT_REACHED

    @pytest.mark.parametrize(
        ("failures", "decision"),
        [
            ({}, Decision.NOT_REACHED),
            ({"login transport-1050": 9, "list 503": 1}, Decision.HOLDS),
            ({"login 503": 9}, Decision.REFUTED),
            ({"login 503": 5, "list transport-1212": 5}, Decision.MIXED),
        ],
    )
    def test_what_kind_of_failures(self, failures: dict[str, int], decision: Decision) -> None:
        assert verdicts.connections(study(failures=failures)).decision is decision

    def test_every_sentence_has_a_verdict_with_and_without_a_run(self) -> None:
        judged, not_yet = verdicts.told(study()), verdicts.not_run()
        assert [one.claim for one in judged] == [one.claim for one in not_yet]
        assert {one.decision for one in not_yet} == {Decision.NOT_RUN}
        assert Decision.NOT_RUN not in {one.decision for one in judged}

    def test_nothing_measured(self) -> None:
        assert {one.decision for one in verdicts.told(Study([], 1.0, None))} == {Decision.NOT_REACHED}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """One ramp that was run, one that was left out."""
    found = make.result(run="20260910-033320-govault-study")
    writer = BundleWriter(tmp_path / found.run)
    writer.write_manifest(make.manifest(found, question="govault", command="make govault SCALE=0.02"))
    console = writer.k6_folder / "s001" / "console.jsonl"
    console.parent.mkdir()
    console.write_text("".join(json.dumps(line) + "\n" for line in LINES), encoding="utf-8")
    ramps = (
        Ramp(stretch="s001", level=200, vus=5, method="proxy", began_at=T0, ended_at=T0 + 5, iterations=2),
        Ramp(stretch="s002", level=1000, vus=20, method="direct", stopped="memory", why="too much for here"),
    )
    course = Course(
        run=found.run, words={"SCALE": "0.02"}, scale=0.02, time=0.1, budget_s=None, disk_bytes=8 * GIB,
        ramps=ramps, users=tuple(f"id-{n}" for n in range(20)),
    )  # fmt: skip
    writer.write_json(COURSE, course.model_dump(mode="json"))
    writer.append_uploads(UPLOADS)
    return writer.path


def printed(work: Any) -> str:
    out = io.StringIO()
    assert work(Console(file=out, width=200)) == 0
    return out.getvalue()


class TestTheBundle:
    def test_terminal_markdown_and_html_say_the_same(self, bundle: Path) -> None:
        shown = printed(lambda console: finish(bundle, console))
        texts = [
            shown,
            *((bundle / name).read_text(encoding="utf-8") for name in ("report.md", "report.html")),
        ]
        for text in texts:
            for piece in ("1 of 2 of ", "too much for here", "not reached"):
                assert piece in text
        assert texts[2].count("<figure") == 7
        assert "file verified" in texts[1], "the funnel"
        assert "142 / " in texts[1], "theirs beside ours"

    def test_the_headline_counts_verdicts_by_name(self, bundle: Path) -> None:
        assert read_findings(bundle).headline == (
            "1 of 2 of GoVault's ramps were run to their end, and its 10 sentences judged (not reached: 10)."
        )

    def test_the_caution_says_what_each_verdict_rests_on(self, bundle: Path) -> None:
        last = read_findings(bundle).cautions[-1]
        assert last.endswith(
            "ratios rest on several levels together, what is said of 850 clients and more on those ramps"
            " alone."
        )

    def test_on_a_phone_a_label_is_not_squeezed_to_single_letters(self, bundle: Path) -> None:
        """Its text may break anywhere beside it, so what can shrink shrinks to one letter."""
        finish(bundle, Console(file=io.StringIO()))
        style = (bundle / "report.html").read_text(encoding="utf-8")
        (label,) = re.findall(r"\.cards td:not\(:first-child\)::before \{([^}]*)\}", style)
        assert "flex: none;" in label and "overflow-wrap: break-word;" in label

    def test_writing_it_again_gives_equal_bytes(self, bundle: Path) -> None:
        finish(bundle, Console(file=io.StringIO()))
        before = (bundle / "report.html").read_bytes()
        finish(bundle, Console(file=io.StringIO()))
        assert (bundle / "report.html").read_bytes() == before

    def test_runs_lists_it_and_share_packs_it(self, bundle: Path) -> None:
        listed = printed(lambda console: runs({"VAULTBENCH_RESULTS": str(bundle.parent)}, console))
        assert bundle.name in listed and "govault, SCALE=0.02 TIME=0.1" in listed
        assert "left out" not in listed
        shared = printed(lambda console: share(bundle, {}, console))
        assert "through the server" in shared
        assert (bundle.parent / f"{bundle.name}.zip").exists()

    def test_what_goes_on_record_is_computed_from_the_bundle(self, bundle: Path, tmp_path: Path) -> None:
        """Not taken from the file that an older version of the harness may have left in it."""
        finish(bundle, Console(file=io.StringIO()))
        found = read_findings(bundle)
        older = found.rows[0].model_copy(update={"verified": 99})
        stored = found.model_copy(update={"rows": (older,), "headline": "Words of an older version."})
        BundleWriter(bundle).write_json(FINDINGS, stored.model_dump(mode="json"))
        study_page.take(bundle, tmp_path / "records")
        assert study_page.on_record(tmp_path / "records") == found

    def test_what_is_on_record_is_judged_as_today(self, bundle: Path, tmp_path: Path) -> None:
        study_page.take(bundle, tmp_path)
        found = study_page.on_record(tmp_path)
        assert found is not None
        older = found.model_copy(update={"claims": (), "headline": "Words of an older version."})
        file = tmp_path / study_page.NAME / FINDINGS
        file.write_text(json.dumps(older.model_dump(mode="json")), encoding="utf-8")
        assert study_page.on_record(tmp_path) == found

    def test_compare_refuses_it_with_a_sentence(self, bundle: Path) -> None:
        with pytest.raises(BundleError, match="it has no arms"):
            compare((bundle, bundle), Console(file=io.StringIO()))

    def test_a_level_that_was_not_reached_stands_with_its_reason(self, bundle: Path) -> None:
        found = read_findings(bundle)
        assert [(one.level, one.reason) for one in found.missing] == [(200, "generator"), (1000, "memory")]

    def test_the_sources_table_is_of_its_levels(self) -> None:
        assert {level for level, _ in PUBLISHED} <= set(LEVELS)
