"""Every check is broken once, and a sound run breaks none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loadtests.harness.analyse import analyse
from loadtests.harness.records.plan import NOBODY, Part, PartKind
from loadtests.harness.records.result import Result
from loadtests.harness.records.samples import Counted, LoadSummary, StepSample, Warn
from loadtests.harness.records.vocabulary import DOWNLOADED, LedgerClass, Severity, Validity
from loadtests.harness.sentences import told
from loadtests.harness.validity import NEXT_COMMAND, again, once
from tests.unit.loadtests.switchback import (
    BESIDE,
    OURS,
    FakeBundle,
    World,
    arm,
    bundle,
    ledger,
    manifest,
    part,
    plan,
    upload,
)

pytestmark = pytest.mark.unit

PAIR = part(arm("A"), arm("B"))
Change = Callable[[FakeBundle], object]


def sound(**given: Any) -> FakeBundle:
    world = World(rates={"A": 40.0, "B": 50.0}, noise=0.03)
    world.play(PAIR, 10)
    made = bundle(world, PAIR, **given)
    made.of_manifest = manifest(host={"cores": 8, "memory_bytes": 8e9})
    return made


def codes(result: Result) -> list[str]:
    return [warn.code for warn in result.warnings]


def test_a_sound_run_is_valid() -> None:
    result = analyse(sound())
    assert codes(result) == []
    assert (result.validity, result.exit_code, result.next_command) == (Validity.VALID, 0, None)
    assert result.compare is not None and result.compare.best == "B"


def lossy(allowed: float | None, rates: dict[str, float], b_gateway_s: float) -> Result:
    """Arms of these rates, the processor time of whose gateway differs."""
    costs = {name: {**OURS, **BESIDE} for name in "AB"}
    costs["B"]["gateway"] = b_gateway_s
    world = World(rates=rates, noise=0.03, costs=costs)
    world.play(PAIR, 10)
    made = bundle(world, PAIR)
    made.of_plan = made.of_plan.model_copy(update={"fail_on_loss": allowed})
    made.of_manifest = manifest(host={"cores": 8, "memory_bytes": 8e9})
    return told(analyse(made))


class TestLoss:
    same = OURS["gateway"]

    def test_in_the_rate(self) -> None:
        found = lossy(0.10, {"A": 50.0, "B": 40.0}, self.same)
        assert found.exit_code == 4
        assert "B lost more than 10 % against A: 0.79 (" in found.exit_reason
        assert found.exit_reason.endswith("times the uploads per second")
        assert found.sentences[-1].text == f"{found.exit_reason}."

    def test_in_processor_time(self) -> None:
        found = lossy(0.10, {"A": 50.0, "B": 50.0}, self.same + 0.0025)
        assert found.exit_code == 4
        assert found.exit_reason.endswith("times the processor time per upload")

    @pytest.mark.parametrize(
        ("allowed", "rates", "more_s"),
        [
            (None, {"A": 50.0, "B": 40.0}, 0.0),
            (0.30, {"A": 50.0, "B": 40.0}, 0.0025),
            (0.10, {"A": 50.0, "B": 50.0}, 0.0),
            (0.10, {"A": 40.0, "B": 50.0}, -0.002),  # a gain
            (0.10, {"A": 50.0, "B": 45.0}, 0.0),  # its interval holds the allowed loss
        ],
    )
    def test_none(self, allowed: float | None, rates: dict[str, float], more_s: float) -> None:
        assert lossy(allowed, rates, self.same + more_s).exit_code == 0


def table(made: FakeBundle, **given: object) -> None:
    made.of_ledgers = [ledger(made.world.stretches, made.world.uploads, **given)]


def unended(made: FakeBundle) -> None:
    """Killed before its last stretch was audited."""
    made.of_manifest = manifest(host={"cores": 8, "memory_bytes": 8e9}, ended_at=None)
    made.of_load = None
    made.of_ledgers = ()


def unplayed(made: FakeBundle) -> None:
    """A stretch that was audited stands nowhere."""
    (known,) = made.of_ledgers
    made.of_ledgers = [known.model_copy(update={"stretches": (*known.stretches, "s999")})]


def restart(made: FakeBundle) -> None:
    looks = made.world.looks
    looks[20:] = [look.model_copy(update={"lives": {**look.lives, "upload": 8}}) for look in looks[20:]]


def fail_some(made: FakeBundle, status: int | None = None) -> None:
    stretch = made.world.stretches[0]
    for index, name in enumerate(stretch.order):
        at = stretch.t0 + 3.0 * index + 1.0
        lost = {"ledger": LedgerClass.CLEAN_FAILURE, "acked_at": None, "durable_at": None, "failed_at": at}
        made.world.uploads += [upload(stretch, name, at, at, failed_status=status, **lost) for _ in range(3)]
    table(made)


def early(made: FakeBundle) -> None:
    """Promises come at twice the pace of stored files."""
    uploads = made.world.uploads
    made.world.uploads = [
        one if index % 2 else one.model_copy(update={"durable_at": (one.durable_at or 0.0) + 4000.0})
        for index, one in enumerate(uploads)
    ]
    table(made, flags={"G-10": len(uploads)})


def k6_busy(made: FakeBundle) -> None:
    made.of_manifest = manifest(host={"cores": 8, "memory_bytes": 8e9}, k6_cores=0.05)


def other_programs(made: FakeBundle) -> None:
    made.world.looks = [
        look.model_copy(update={"host_busy_s": look.host_busy_s + (look.at - 1_000_000.0)})
        for look in made.world.looks
    ]


def disk_waits(made: FakeBundle, *turns: int) -> None:
    """In these turns six of eight processors wait for the disk."""
    looks, waited_s = made.world.looks, 0.0
    for index, look in enumerate(looks):
        ends = index > 0 and index % 2 == 0  # a turn's counted part lies between two looks
        if ends and index // 2 - 1 in turns:
            waited_s += 6 * (look.at - looks[index - 1].at)
        looks[index] = look.model_copy(update={"disk_wait_s": waited_s})


def unwatched(made: FakeBundle) -> None:
    made.world.looks = [
        look.model_copy(
            update={"cpu_s": {name: used for name, used in look.cpu_s.items() if name != "files"}}
        )
        for look in made.world.looks
    ]


def few_cores(made: FakeBundle) -> None:
    made.of_manifest = manifest(host={"cores": 2, "memory_bytes": 8e9})


def other_bytes(made: FakeBundle) -> None:
    """A download that arrived otherwise than it was uploaded; no audit has it."""
    made.world.uploads = [
        *made.world.uploads,
        upload(made.world.stretches[0], "A", 0.0, 0.0, ledger=LedgerClass.CORRUPT, flags=(DOWNLOADED,)),
    ]


def foreign(made: FakeBundle) -> None:
    made.of_warnings = [
        Warn(code="foreign-traffic", severity=Severity.INVALID, message="somebody else uploads")
    ]


@pytest.mark.parametrize(
    ("change", "code", "state", "exit_code"),
    [
        (lambda made: table(made, failed=True, classes={"G-02": 2}), "ledger-mismatch", Validity.INVALID, 1),
        (lambda made: table(made, classes={}), "ledger-mismatch", Validity.INVALID, 2),
        (lambda made: table(made, stored_bytes=1), "bytes-mismatch", Validity.INVALID, 2),
        (other_bytes, "bytes-mismatch", Validity.INVALID, 2),
        (lambda made: setattr(made, "of_ledgers", ()), "missing-samples", Validity.INVALID, 2),
        (unended, "not-ended", Validity.INVALID, 2),
        (lambda made: made.world.uploads.pop(), "missing-samples", Validity.INVALID, 2),
        (unplayed, "missing-samples", Validity.INVALID, 2),
        (lambda made: setattr(made, "of_load", None), "generator-failed", Validity.INVALID, 2),
        (restart, "restart-during-run", Validity.INVALID, 2),
        (
            lambda made: setattr(made, "of_load", LoadSummary(exit_code=107, requests=1)),
            "generator-failed",
            Validity.INVALID,
            2,
        ),
        (k6_busy, "generator-limited", Validity.INVALID, 2),
        (foreign, "foreign-traffic", Validity.INVALID, 2),
        (unwatched, "missing-samples", Validity.CAUTIONS, 0),
        (fail_some, "upload-errors", Validity.CAUTIONS, 0),
        (lambda made: fail_some(made, 429), "rate-limited", Validity.CAUTIONS, 0),
        (early, "backlog-growing", Validity.CAUTIONS, 0),
        (other_programs, "noisy-host", Validity.CAUTIONS, 0),
        (lambda made: disk_waits(made, 3, 4), "disk-stalled", Validity.CAUTIONS, 0),
        (lambda made: table(made, baseline_files=3), "dirty-start", Validity.CAUTIONS, 0),
        (few_cores, "shared-host", Validity.VALID, 0),
        (
            lambda made: setattr(made, "of_manifest", manifest(host={"cores": 8}, interrupted=True)),
            None,
            Validity.VALID,
            3,
        ),
    ],
)
def test_each_check(change: Change, code: str | None, state: Validity, exit_code: int) -> None:
    made = sound()
    change(made)
    result = analyse(made)
    assert code is None or code in codes(result)
    assert (result.validity, result.exit_code) == (state, exit_code)
    if state is Validity.INVALID and made.of_ledgers:
        assert result.compare is not None
        assert result.compare.best is None
        assert not any(ratio.winner_named for ratio in result.compare.ratios)


def test_a_disk_that_stands_still_is_told_by_turns() -> None:
    made = sound()
    disk_waits(made, 3, 4)
    (warn,) = [one for one in analyse(made).warnings if one.code == "disk-stalled"]
    assert warn.message.startswith(f"the disk stood still in 2 of {len(made.world.stretches[0].order)} turns")
    assert warn.value == pytest.approx(6 / 8)


def test_where_every_turn_waits_for_the_disk_it_is_what_is_measured() -> None:
    made = sound()
    disk_waits(made, *range(len(made.world.stretches[0].order)))
    assert "disk-stalled" not in codes(analyse(made))


def test_an_idle_stack_that_works_is_noticed() -> None:
    own = part(arm("A", stack="a"), arm("B", stack="b"))
    costs = {name: {f"{name.lower()}/gateway": 0.005, "k6": 0.001} for name in "AB"}
    world = World(rates={"A": 40.0, "B": 40.0}, costs=costs, idle_cpu={"a/gateway": 0.07, "b/gateway": 0.01})
    world.play(own, 8)
    warns = [warn for warn in analyse(bundle(world, own)).warnings if warn.code == "idle-arm-busy"]
    assert [warn.message for warn in warns] == ["idle stacks used 7 % of a core beside B"]


def test_few_blocks_and_a_wide_interval_are_said() -> None:
    world = World(rates={"A": 40.0, "B": 40.0}, noise=0.2)
    world.play(PAIR, 4)
    result = analyse(bundle(world, PAIR))
    assert {"few-blocks", "not-precise"} <= set(codes(result))
    assert result.next_command == "make stress PROFILE=full"


def test_a_refusal_is_no_failure_where_more_is_offered_than_fits() -> None:
    """Status 503 with a reason is what admission control is for; 500 is not."""
    offered = part(
        arm("A at 300 %", of="A", rate_per_s=60.0, of_capacity=3.0), name="rates", kind=PartKind.RATES
    )
    for status, code in ((503, []), (500, ["upload-errors"])):
        world = World(rates={"A": 40.0, "B": 50.0, "A at 300 %": 20.0})
        world.play(PAIR, 10)
        stretch = world.play(offered, 8)
        for index, name in enumerate(stretch.order):
            at = stretch.t0 + 3.0 * index + 1.0
            lost = {
                "ledger": LedgerClass.CLEAN_FAILURE,
                "acked_at": None,
                "durable_at": None,
                "failed_at": at,
            }
            world.uploads += [upload(stretch, name, at, at, failed_status=status, **lost) for _ in range(9)]
        found = codes(analyse(bundle(world, PAIR, offered)))
        assert [one for one in found if one == "upload-errors"] == code, status


@pytest.mark.parametrize(
    ("more_rate", "noise", "code", "said"),
    [
        (40.0, 0.02, None, ""),
        (60.0, 0.02, "not-saturated", "8 clients fill the system: 16 of them brought +"),
        (41.0, 0.3, "saturation-open", "8 clients fill the system: 16 of them may bring 10 % more or not"),
    ],
)
def test_whether_more_clients_would_help_is_judged_by_the_levels(
    more_rate: float, noise: float, code: str | None, said: str
) -> None:
    levels = part(
        *(arm(f"A {vus} VU", of="A", vus=vus) for vus in (2, 8, 16)), name="levels", kind=PartKind.LEVELS
    )
    world = World(
        rates={"A": 40.0, "B": 50.0, "A 2 VU": 20.0, "A 8 VU": 40.0, "A 16 VU": more_rate}, noise=noise
    )
    world.play(PAIR, 8)
    world.play(levels, 7)
    found = [
        warn for warn in analyse(bundle(world, PAIR, levels)).warnings
        if warn.code in {"not-saturated", "saturation-open"}
    ]  # fmt: skip
    assert [warn.code for warn in found] == ([code] if code else [])
    assert all(said in warn.message for warn in found)


def test_a_smoke_run_is_known_to_be_imprecise_and_leads_to_the_next_profile() -> None:
    world = World(rates={"A": 40.0, "B": 40.0}, noise=0.2)
    world.play(PAIR, 1)
    planned = plan(PAIR).model_copy(update={"profile": "smoke"})
    result = analyse(bundle(world, PAIR, planned=planned))
    assert {"few-blocks", "not-precise"} & set(codes(result)) == set()
    assert result.next_command == "make stress PROFILE=ci"


@pytest.mark.parametrize("kind", [PartKind.KILL, PartKind.CROWD, PartKind.FLEET, PartKind.RATES])
def test_how_precise_a_comparison_is_is_no_matter_where_nobody_asked_for_it(kind: PartKind) -> None:
    world = World(rates={"A": 40.0, "B": 40.0}, noise=0.2)
    world.play(PAIR, 4)
    result = told(analyse(bundle(world, PAIR, part(arm("A"), name=kind.value, kind=kind))))
    assert result.point is kind
    assert {"few-blocks", "not-precise"} & set(codes(result)) == set()
    assert result.next_command == "make stress", "the other part was not run"
    assert not any("fastest" in one.text or "as fast as" in one.text for one in result.sentences)


def test_work_that_is_left_for_the_next_turn_is_noticed() -> None:
    world = World(rates={"A": 40.0, "B": 40.0})
    stretch = world.play(PAIR, 10)
    after_b = [
        bool(i and stretch.order[i - 1] == "B" and name == "A") for i, name in enumerate(stretch.order)
    ]
    world.uploads = [
        one
        for number, one in enumerate(world.uploads)
        if not (after_b[int((one.intent_at - stretch.t0) // 3)] and (one.intent_at - stretch.t0) % 3 < 1.4)
        or number % 2
    ]
    (warn,) = [w for w in analyse(bundle(world, PAIR)).warnings if w.code == "carry-over"]
    assert warn.message.startswith("A after B changed by +")


def test_services_that_count_something_else_are_noticed() -> None:
    made = sound()
    uploads = {"A": 100}
    made.of_plan = plan(
        PAIR, statements_per_upload={"A": 6.0, "B": 6.0}, store_requests_per_upload={"A": 2.0}
    )
    made.of_counted = [
        Counted(
            stack="",
            stretches=("s001",),
            uploads=uploads,
            statements={"upload_db": 660.0},
            store_requests={"PUT": 200.0},
        )
    ]
    (warn,) = [w for w in analyse(made).warnings if w.code == "count-differs"]
    assert warn.message == "A took 6.60 statements for one file, not 6"


def test_requests_that_k6_did_not_begin_are_noticed() -> None:
    own = part(arm(NOBODY), arm("A", rate_per_s=100.0), name="neighbours", kind=PartKind.NEIGHBOURS,
               login_rate_per_s=20.0)  # fmt: skip
    world = World(rates={"A": 40.0, "B": 50.0})
    world.play(PAIR, 8)
    stretch = world.play(own, 6)
    steps = [
        StepSample(
            stretch=stretch.stretch,
            arm=stretch.order[int(k / 5 // 3)],
            step="login",
            duration_ms=5.0,
            started_at=stretch.t0 + k / 5 + 0.2,
            scheduled_at=stretch.t0 + k / 5,
            status=200,
            ok=True,
        )
        for k in range(5 * 3 * len(stretch.order))
    ]
    made = bundle(world, PAIR, own, of_steps=steps)
    found = set(codes(analyse(made)))
    assert {"offered-rate-missed", "slip", "rate-above-capacity"} <= found


def test_a_part_that_was_not_run_is_named() -> None:
    levels = part(arm("A"), name="levels", kind=PartKind.LEVELS)
    world = World(rates={"A": 40.0, "B": 50.0})
    world.play(PAIR, 8)
    (warn,) = [w for w in analyse(bundle(world, PAIR, levels)).warnings if w.code == "not-reached"]
    assert warn.message == "not measured: levels"


def in_vain(world: World, own: Part, status: int = 507, code: str = "disk_full") -> None:
    """A try in every turn of the arms that do nothing."""
    for stretch in (one for one in world.stretches if one.part == own.name):
        for index, name in enumerate(stretch.order):
            if world.rates.get(name, 0.0) == 0.0:
                at = stretch.begin(index) + 1.0
                lost = {"ledger": LedgerClass.CLEAN_FAILURE, "acked_at": None, "durable_at": None}
                failed = {
                    "failed_at": at,
                    "failed_step": "chunk",
                    "failed_status": status,
                    "failed_code": code,
                }
                world.uploads.append(upload(stretch, name, at, at, **lost, **failed))


def test_an_arm_of_which_everything_failed_is_not_measured_and_the_others_are() -> None:
    three = part(arm("A"), arm("B", strategy="direct-single"), arm("C", strategy="direct-multipart"))
    world = World(rates={"A": 40.0, "B": 50.0}, noise=0.03)
    world.play(three, 10)
    in_vain(world, three)
    result = told(analyse(bundle(world, three)))
    said = "not measured: C, of which all 20 transfers failed, 20 of them so: chunk answered 507 disk_full"
    assert (result.validity, result.exit_code, result.exit_reason) == (Validity.CAUTIONS, 3, said)
    assert result.next_command == "make status"
    assert result.headline.startswith("With files of 977 KiB here: B is at least ")
    assert result.headline.endswith(" as fast as A.")
    assert f"N{said[1:]}." in [one.text for one in result.sentences if one.question is PartKind.COMPARE]
    assert {one.arm for one in result.limits} == {"A", "B"}


def test_a_size_at_which_everything_failed_is_left_out_of_the_answer() -> None:
    sized = {
        size: [arm(f"{name} {size}", of=name, title=name, file_size_bytes=size) for name in "AB"]
        for size in (2048, 4096)
    }
    sizes = part(*sized[2048], *sized[4096], name="sizes", kind=PartKind.SIZES)
    world = World(rates={"A 2048": 40.0, "B 2048": 60.0}, noise=0.03)
    world.play(sizes, 10)
    in_vain(world, sizes, status=0, code="transport-1220")
    result = told(analyse(bundle(world, sizes)))
    assert [one.text for one in result.sentences if one.question is PartKind.SIZES] == [
        "Not measured: files of 4 KiB, of which all 40 transfers failed, 40 of them so: "
        "chunk not answered transport-1220.",
        "For files of 2 KiB B is the fastest way here, 1.50 (1.46 to 1.54) times as fast as A.",
    ]
    assert result.exit_code == 3


def test_what_a_limiter_refused_is_told_as_that_alone() -> None:
    world = World(rates={"A": 40.0})
    world.play(PAIR, 8)
    in_vain(world, PAIR, status=429)
    found = codes(analyse(bundle(world, PAIR)))
    assert "rate-limited" in found and "not-measured" not in found


def test_equal_warnings_are_shown_once_with_how_many_and_the_gravest_stands() -> None:
    mild = Warn(code="slip", severity=Severity.CAUTION, message="mild", metric="m")
    grave = Warn(code="slip", severity=Severity.INVALID, message="grave", metric="m")
    other = Warn(code="slip", severity=Severity.CAUTION, message="other", metric="n")
    assert [(w.message, w.severity) for w in once([mild, grave, mild, other])] == [
        ("grave (and 2 more of this kind)", Severity.INVALID),
        ("other", Severity.CAUTION),
    ]


def test_what_the_audit_warned_of_is_not_found_again() -> None:
    made = sound()
    table(made, failed=True, classes={"G-02": len(made.world.uploads)})
    said = Warn(code="ledger-mismatch", severity=Severity.INVALID, message="said", metric="uploads by class")
    made.of_warnings = [said]
    assert [warn.message for warn in analyse(made).warnings] == ["said"]


@pytest.mark.parametrize(
    ("killed", "said"),
    [
        (False, "audit 1 failed: 2 x G-02, 1 x G-11"),
        (True, "audit 1 failed: 1 x G-11"),  # what a planned kill took along fails nothing
    ],
)
def test_of_a_failed_audit_only_what_fails_it_is_named(killed: bool, said: str) -> None:
    made = sound()
    classes, flags = {"verified": len(made.world.uploads) - 2, "G-02": 2}, {"G-04": 3, "G-09": 4, "G-11": 1}
    table(made, failed=True, killed=killed, classes=classes, flags=flags)
    assert said in [warn.message for warn in analyse(made).warnings]


def test_a_run_that_was_killed_between_two_audits_did_not_reach_its_end() -> None:
    made = sound()
    made.of_manifest, made.of_load = manifest(host={"cores": 8, "memory_bytes": 8e9}, ended_at=None), None
    result = analyse(made)
    assert (result.exit_code, result.exit_reason) == (3, "the run was cut off before its end")


def test_every_next_command_can_be_said() -> None:
    words = {"half": 4, "double": 16, "run": "r1", "longer": "PROFILE=full"}
    assert all(command.format(**words).startswith(("make ", "again")) for _, command in NEXT_COMMAND)


@pytest.mark.parametrize(
    ("question", "words", "command"),
    [
        ("proxy-or-direct", {"SEED": "3"}, "make stress SEED=3 PROFILE=ci"),
        ("ab", {"A": "FINALISE=inline", "B": "FINALISE=queued"},
         'make ab A="FINALISE=inline" B="FINALISE=queued" PROFILE=ci'),
    ],
)  # fmt: skip
def test_again_asks_the_same_question(question: str, words: dict[str, str], command: str) -> None:
    assert again(plan(PAIR, question=question, words=words), {"PROFILE": "ci"}) == command
