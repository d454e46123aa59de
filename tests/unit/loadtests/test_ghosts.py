"""What a kill took along: counted from hand-made ledgers, said in words, judged against claims, shown."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from loadtests.harness.analyse import analyse
from loadtests.harness.analysis.ghosts import kills
from loadtests.harness.claims import Decision, judged_claims
from loadtests.harness.k6.console import Lines
from loadtests.harness.ledger.classify import classify
from loadtests.harness.ledger.remarks import remarks
from loadtests.harness.ledger.settle import Settled
from loadtests.harness.ledger.table import make_table
from loadtests.harness.records.plan import Claim, Decides, Part, PartKind, Stretch
from loadtests.harness.records.result import AfterKill, Kills, Result
from loadtests.harness.records.samples import Event, LedgerTable, UploadSample
from loadtests.harness.records.vocabulary import UNFINISHED, LedgerClass, Severity, Validity
from loadtests.harness.report.charts_evidence import charts
from loadtests.harness.report.page import view_of
from loadtests.harness.report.tables import summary, tables
from loadtests.harness.report.template import html, markdown
from loadtests.harness.report.terminal import print_result
from loadtests.harness.sentences import of_question, told
from tests.unit.loadtests import fabricate as make
from tests.unit.loadtests import ledger_world as world
from tests.unit.loadtests import switchback

pytestmark = pytest.mark.unit

C = LedgerClass
T0, KILL_AFTER_S, PERIOD_S = 1000.0, 3.0, 6.0
INLINE = switchback.arm("inline with a kill", of="inline", stack="inline")
DETACHED = switchback.arm("detached with a kill", of="detached", stack="detached")


def part_of_kills() -> Part:
    own = switchback.part(INLINE, DETACHED, name="kill", kind=PartKind.KILL)
    return own.model_copy(update={"period_s": PERIOD_S, "kill_after_s": KILL_AFTER_S})


def turn(number: int, arm: str, **given: object) -> Stretch:
    values: dict[str, object] = {
        "stretch": f"s{number:03}",
        "part": "kill",
        "t0": T0 + 100 * number,
        "period_s": PERIOD_S,
        "washout_s": 0.7,
        "order": (arm,),
        "blocks": (number,),
    }
    return Stretch.model_validate(values | given)


def kill_of(stretch: Stretch, back_after_s: float | None = 1.5) -> list[Event]:
    at = stretch.t0 + KILL_AFTER_S
    told = [Event(at=at, kind="kill", detail={"stretch": stretch.stretch, "service": "upload"})]
    if back_after_s is not None:
        told.append(Event(at=at + back_after_s, kind="recovered", detail={"stretch": stretch.stretch}))
    return told


def sent(stretch: Stretch, ref: str, user: str, since_kill_s: float, kind: LedgerClass) -> UploadSample:
    """An upload whose client heard the last of it so long after the kill: an acknowledgement where the class
    is one of those that were acknowledged, else an error."""
    at = stretch.t0 + KILL_AFTER_S + since_kill_s
    told = kind in (C.VERIFIED, C.LOST, C.CORRUPT)
    return switchback.upload(
        stretch, stretch.order[0], at - 0.1, at, upload_ref=ref, user_id=user, ledger=kind,
        acked_at=at if told else None, failed_at=None if told else at,
        durable_at=at if kind in (C.VERIFIED, C.LATE_SUCCESS) else None,
    )  # fmt: skip


def table(stretches: list[Stretch], *orphans: str) -> LedgerTable:
    rows = tuple({"class": "G-04", "upload_ref": ref, "reason": "object without row"} for ref in orphans)
    return switchback.ledger(stretches, [], offending=rows, killed=True)


@pytest.fixture
def found() -> Kills:
    first, second = turn(1, DETACHED.name), turn(2, DETACHED.name)
    calm, cut = turn(3, INLINE.name), turn(4, INLINE.name, cut_at=T0 + 401)
    uploads = [
        *(sent(first, f"a{n}", f"u{n % 2}", -2.0 + n / 10, C.VERIFIED) for n in range(10)),
        sent(first, "ghost 1", "u0", -0.1, C.LOST),
        sent(first, "ghost 2", "u9", -0.4, C.LOST),  # all that u9 ever sent
        sent(first, "late", "u1", 0.2, C.LATE_SUCCESS),
        sent(first, "stuck", "u8", 0.3, C.STUCK),
        sent(second, "b1", "u0", 2.0, C.VERIFIED),
        sent(second, "ghost 3", "u1", -0.2, C.LOST),
        sent(second, "there", "u7", -0.2, C.LOST).model_copy(update={"flags": ("G-12", UNFINISHED)}),
        sent(calm, "c1", "v1", -1.0, C.VERIFIED),
        sent(calm, "c2", "v2", 0.1, C.CLEAN_FAILURE),
        sent(cut, "d1", "v1", -1.0, C.LOST),  # of a turn that ended before its kill
    ]
    made = kills(
        part_of_kills(),
        [first, second, calm, cut],
        uploads,
        [*kill_of(first), *kill_of(second, None), *kill_of(calm, 2.0)],
        [table([first, second], "ghost 1", "ghost 2", "stuck", "of another run")],
    )
    assert made is not None
    return made


def of(found: Kills, arm: str) -> AfterKill:
    return next(one for one in found.arms if one.arm == arm)


class TestCounts:
    def test_acknowledged_is_there_or_gone(self, found: Kills) -> None:
        one = of(found, "detached")
        assert (one.began, one.acknowledged, one.kept, one.gone) == (17, 15, 12, 3)
        assert one.unfinished == 1, "its file is there, so it is no ghost"
        assert (one.failed, one.late, one.orphans) == (2, 1, 3)
        assert [(killed.acknowledged, killed.gone) for killed in one.kills] == [(12, 2), (3, 1)]

    def test_users_who_lack_a_file_and_users_without_any(self, found: Kills) -> None:
        one = of(found, "detached")
        assert (one.users, one.users_with_file) == (5, 3)
        assert one.users_short == 3  # u0, u1 and u9 were told of more than they have
        assert one.users_without_file == 1  # u9; u8 was told of nothing

    def test_how_long_it_was_away_and_how_late_a_loss_is(self, found: Kills) -> None:
        one = of(found, "detached")
        assert [killed.away_s for killed in one.kills] == [pytest.approx(1.5), None]
        assert one.last_gone_s == pytest.approx(0.4)

    def test_the_course_around_the_kill(self, found: Kills) -> None:
        course = {moment.at_s: (moment.kept, moment.gone) for moment in of(found, "detached").course}
        assert (min(course), max(course)) == (-3.0, 2.75)
        assert course[-0.25] == (1, 2)
        assert course[-0.5] == (0, 1)
        assert course[2.0] == (1, 0)
        assert sum(kept for kept, _ in course.values()) == 12

    def test_a_turn_without_its_kill_does_not_count(self, found: Kills) -> None:
        one = of(found, "inline")
        assert (len(one.kills), one.began, one.gone, one.last_gone_s) == (1, 2, 0, None)

    def test_where_nobody_was_killed_there_is_nothing(self) -> None:
        assert kills(part_of_kills(), [turn(1, INLINE.name)], [], [], []) is None


class TestTheAudit:
    """What a planned kill took along is a finding; everything else fails as ever."""

    def spoiled(self, **changes: list[object]) -> world.World:
        spoilt = world.World().verified("a", "b")
        for name, value in changes.items():
            setattr(spoilt, name, value)
        return spoilt

    @pytest.mark.parametrize(
        ("changes", "killed", "failed"),
        [
            ({"files": [world.file("b")]}, False, True),  # a is gone
            ({"files": [world.file("b")]}, True, False),
            ({"objects": [world.stored("b")]}, True, True),  # a row without its object is no matter of a kill
        ],
    )
    def test_what_fails(self, changes: dict[str, list[object]], killed: bool, failed: bool) -> None:
        classified = classify(self.spoiled(**changes).evidence())
        made = make_table(0, "detached", ("s001",), 0, classified, killed=killed)
        assert (made.failed, made.killed) == (failed, killed)
        told = {one.severity for one in remarks(Lines(), made, Settled(0.0, cut=False), {})}
        assert (Severity.INVALID in told) is failed
        assert (Severity.CAUTION in told) is (not killed)  # a user lacks a file

    def test_a_whole_run_stays_valid(self) -> None:
        pair = switchback.part(switchback.arm("inline"), switchback.arm("detached"))
        made = switchback.World(rates={"inline": 40.0, "detached": 50.0}, noise=0.02)
        made.play(pair, 8)
        own, compared = part_of_kills(), list(made.stretches)
        first = turn(90, DETACHED.name)
        made.stretches.append(first)
        made.uploads += [
            *(sent(first, f"a{n}", "u1", -2.0 + n / 100, C.VERIFIED) for n in range(90)),
            *(sent(first, f"g{n}", "u1", -0.1, C.LOST) for n in range(4)),
            *(sent(first, f"f{n}", "u1", 0.2, C.CLEAN_FAILURE) for n in range(20)),
        ]
        bundle = switchback.bundle(made, pair, own, of_events=kill_of(first))
        audited = switchback.ledger(
            [first], [], intents=114, classes={"verified": 90, "G-02": 4, "G-00": 20}, killed=True
        )
        others = [one for one in made.uploads if one.stretch != first.stretch]
        bundle.of_ledgers = [switchback.ledger(compared, others), audited]
        result = analyse(bundle)
        assert result.validity is not Validity.INVALID, result.warnings
        assert result.exit_code == 0
        assert result.kills is not None
        assert [(one.arm, one.gone) for one in result.kills.arms] == [("inline", 0), ("detached", 4)]
        assert "upload-errors" not in {warn.code for warn in result.warnings}, "failing is what a kill does"


ARMS = tuple(make.arm(name, asked={"FINALISE": name}) for name in ("inline", "queued", "detached"))


@pytest.fixture(scope="module")
def result() -> Result:
    after = make.kills(inline=(0, 0), queued=(0, 0), detached=(5, 7))
    return make.result(ARMS, kills=after, neighbours=None, knees=())


class TestTheStory:
    def test_who_lost_what_comes_first(self, result: Result) -> None:
        assert result.headline == (
            "With the upload service killed in mid-load, detached lost 12 of 1,200 acknowledged uploads in "
            "2 kills (5 to 7 in each), inline lost none of 1,200 in 2 kills and queued lost none of 1,200 in "
            "2 kills."
        )

    def test_then_who_is_short_of_a_file_and_why_counting_misleads(self, result: Result) -> None:
        _, users, counting, *details = of_question(result, PartKind.KILL)
        assert users.text == (
            "Detached left 12 users of 16 without a file they were told of, none without any file; what is "
            "gone was acknowledged at most 120 ms before the kill."
        )
        assert counting.text == (
            "Rounds that clients ended, less users with a file, would be 1,224 for inline, 1,224 for queued "
            "and 1,224 for detached, where 0, 0 and 12 are gone: that difference counts users who uploaded "
            "more than once, and says nothing of what was lost."
        )
        assert [one.text for one in details] == [
            "The upload service served again 1.5 s to 1.6 s after it was killed.",
            "Uploads whose clients saw an error and that are there all the same: 3 of 40 for inline, 3 of 40 "
            "for queued and 3 of 40 for detached.",
        ]

    def test_what_is_there_and_never_ended_is_said(self) -> None:
        (inline, detached) = make.kills(inline=(0,), detached=(0,)).arms
        odd = detached.model_copy(update={"unfinished": 2})
        after = make.kills().model_copy(update={"arms": (inline, odd)})
        said = [one.text for one in make.result(ARMS, kills=after).sentences]
        assert said[1] == (
            "Detached left 2 uploads with the file there and a status that says for ever that it is not done."
        )

    def test_a_smoke_run_counts_too(self, result: Result) -> None:
        small = make.result(ARMS, kills=result.kills, profile="smoke", neighbours=None)
        assert small.headline == result.headline

    def test_an_arm_that_promises_and_loses_is_said(self) -> None:
        after = make.kills(inline=(0, 1), detached=(0, 0))
        assert (
            "inline lost 1 of 1,200 acknowledged uploads in 2 kills (0 to 1 in each)"
            in make.result(ARMS, kills=after).headline
        )


class TestClaims:
    def judged(self, result: Result, *decides: Decides) -> tuple[Decision, str]:
        claim = Claim(source="s", claim="c", decides=decides)
        (found,) = judged_claims(make.plan(result, claims=(claim,)), result)
        return found.decision, found.why

    def share(self, arm: str, **given: float) -> Decides:
        return Decides.model_validate({"metric": "ghost_share", "arm": arm, **given})

    def test_one_ghost_is_enough_against_none(self, result: Result) -> None:
        decision, why = self.judged(result, self.share("detached", most=0))
        assert decision is Decision.REFUTED
        assert why == "What is gone was acknowledged at most 120 ms before the kill."
        assert self.judged(result, self.share("inline", most=0))[0] is Decision.UNDECIDED, "0 of 1,240"
        assert self.judged(result, self.share("inline", most=0.01))[0] is Decision.HOLDS

    def test_counting_folders_is_refuted_with_the_counts(self, result: Result) -> None:
        decision, why = self.judged(result, *(self.share(arm, least=0.95) for arm in ("inline", "detached")))
        assert decision is Decision.REFUTED
        assert why.startswith("Rounds that clients ended, less users with a file, would be 1,224 for inline")
        assert why.count("Rounds that") == 1


class TestTheReport:
    def test_the_three_of_them_say_the_same(self, result: Result) -> None:
        view = view_of(result, make.plan(result), make.manifest(result))
        page, twin, out = html(view), markdown(view), StringIO()
        print_result(result, make.plan(result), Path("results"), Console(file=out, width=400))
        said = out.getvalue()
        for sentence in of_question(result, PartKind.KILL):
            assert sentence.text in twin and sentence.text in said
            assert f'href="#{sentence.evidence}"' in page and f'id="{sentence.evidence}"' in page
        assert f"**{result.headline}**" in twin
        order = ('id="chart-kill"', 'id="chart-kept"', 'id="question-kill"', 'id="question-compare"')
        assert sorted(order, key=page.index) == list(order)

    def test_a_winner_before_the_kills_is_said_in_its_section(self, result: Result) -> None:
        """The page begins with another answer; this one must not get lost."""
        rates = [make.ratio("inline", name, 1.3) for name in ("queued", "detached")]
        faster = make.comparison(ARMS, rates=[*rates, make.ratio("queued", "detached", 1.3)])
        result = told(result.model_copy(update={"compare": faster, "point": PartKind.KILL}))
        view = view_of(result, make.plan(result), make.manifest(result))
        page = html(view)
        for sentence in of_question(result, PartKind.COMPARE):
            assert page.index(f'href="#{sentence.evidence}"') > 0
        compared = page[page.index('id="question-compare"') :]
        assert "Detached is the fastest for files of 1" in compared
        assert "## Which is faster" in markdown(view)

    def test_the_table_of_terminal_and_first_screen(self, result: Result) -> None:
        shown = summary(result)
        assert shown is not None
        assert shown.columns == (
            "arm", "began", "acknowledged", "there", "gone", "users", "lack a file", "have none",
        )  # fmt: skip
        assert shown.rows[2] == ("Detached", "1,240", "1,200", "1,188", "12", "16", "12", "0")

    def test_rounds_and_folders(self, result: Result) -> None:
        shown = tables(result)["kills"]
        assert [name for name in shown.columns if name.startswith("gone")] == ["gone", "gone by kill"]
        assert "rounds less these 1,224" in shown.caption, "the same in every arm, whoever lost what"
        assert shown.rows[2][-2:] != shown.rows[0][-2:]

    def test_the_picture_marks_the_kill_and_says_the_totals(self, result: Result) -> None:
        drawn = charts(result)
        assert "12 gone of 1,200 acknowledged in 2 kills" in drawn["kill"].svg
        assert "seconds since the kill" in drawn["kill"].svg
        assert "1,188 of 1,200 there" in drawn["kept"].svg
        assert "Detached: 12 gone of 1,200" in drawn["kill"].alt
