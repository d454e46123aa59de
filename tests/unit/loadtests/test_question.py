"""Questions, the plans that follow from them, and what a plan says it will take."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from loadtests.harness import question
from loadtests.harness.order import turns_per_block
from loadtests.harness.question import (
    QuestionError,
    estimate,
    load_question,
    make_plan,
    memory_bytes,
    within_budget,
)
from loadtests.harness.records.plan import NOBODY, PartKind, Plan
from loadtests.harness.strategies import load_strategies
from loadtests.harness.words import PROFILES, ProfileName, WordsError, read_ab, read_stress

pytestmark = pytest.mark.unit

STRATEGIES = load_strategies()
MIB, GB = 1024**2, 10**9


def stress(**words: str) -> Plan:
    return make_plan("run", load_question("proxy-or-direct"), read_stress(words, STRATEGIES), STRATEGIES)


def ab(*, own_stacks: bool = False, **words: str) -> Plan:
    settings = {"upload": {"FINALISE": "one of"}}
    typed = read_ab(words, STRATEGIES, {"A": settings, "B": settings})
    return make_plan("run", load_question("ab"), typed, STRATEGIES, own_stacks=own_stacks)


@pytest.mark.parametrize("profile", PROFILES)
class TestEveryProfile:
    def test_names_of_parts_and_of_their_arms_are_unique(self, profile: ProfileName) -> None:
        for plan in (stress(PROFILE=profile), ab(PROFILE=profile)):
            assert len({part.name for part in plan.parts}) == len(plan.parts)
            for part in plan.parts:
                assert len({arm.name for arm in part.arms}) == len(part.arms)
                assert {arm.of for arm in part.arms} - {NOBODY} == {arm.name for arm in plan.arms}

    def test_the_counted_part_is_at_least_half_of_a_turn(self, profile: ProfileName) -> None:
        for part in stress(PROFILE=profile).parts:
            assert part.washout_s <= part.period_s / 2

    def test_it_fits_into_its_own_budget(self, profile: ProfileName) -> None:
        for plan in (stress(PROFILE=profile), ab(PROFILE=profile), ab(PROFILE=profile, own_stacks=True)):
            assert estimate(plan).most_seconds <= plan.budget_s


class TestProxyOrDirect:
    def test_ci_answers_first_within_three_minutes_and_ends_within_eight(self) -> None:
        expected = estimate(stress())
        assert expected.first_answer_s <= 180
        assert expected.most_seconds <= 480

    def test_smoke_asks_every_kind_of_question_within_a_minute(self) -> None:
        plan = stress(PROFILE="smoke")
        kinds = [part.kind for part in plan.parts]
        assert kinds == [
            PartKind.WARM_UP, PartKind.COMPARE, PartKind.LEVELS, PartKind.NEIGHBOURS, PartKind.SIZES,
        ]  # fmt: skip
        assert estimate(plan).most_seconds <= 60

    def test_the_parts_of_ci(self) -> None:
        plan = stress()
        parts = {part.kind: part for part in plan.parts}
        assert [arm.strategy for arm in plan.arms] == ["proxy-chunked", "direct-multipart", "direct-single"]
        assert {arm.vus for arm in parts[PartKind.SATURATION].arms} == {16, 24}
        assert [arm.name for arm in parts[PartKind.LEVELS].arms][:4] == [
            "proxy-chunked 1 VU", "direct-multipart 1 VU", "direct-single 1 VU", "proxy-chunked 4 VU",
        ]  # fmt: skip
        beside = parts[PartKind.NEIGHBOURS]
        assert (beside.arms[0].name, beside.arms[0].strategy, beside.arms[0].vus) == (NOBODY, None, 0)
        assert beside.login_rate_per_s > 0 < beside.list_rate_per_s
        sizes = parts[PartKind.SIZES].arms
        assert list(dict.fromkeys(arm.file_size_bytes for arm in sizes)) == [65536, 8 * MIB, 32 * MIB]
        assert sizes[-1].name == "direct-single 32 MiB"
        assert {arm.piece_bytes for arm in sizes if arm.name.startswith("direct-multipart")} == {5 * MIB}

    def test_an_upload_s_price_is_planned_by_arm(self) -> None:
        plan = stress(FILE_SIZE="12MiB")
        assert plan.requests_per_upload["direct-multipart"] == 3 + 2 + 3  # parts twice: registered, sent
        assert plan.statements_per_upload["direct-single"] == 4
        assert plan.store_requests_per_upload["proxy-chunked"] == 5

    def test_words_reach_the_plan(self) -> None:
        plan = stress(VUS="8", FILE_SIZE="2MiB", SEED="3", PRECISION="0.2", LOGIN="each", RTT_MS="20")
        assert {(arm.vus, arm.file_size_bytes) for arm in plan.arms} == {(8, 2 * MIB)}
        assert (plan.seed, plan.precision, plan.login_each, plan.rtt_ms) == (3, 0.2, True, 20)
        assert plan.words["VUS"] == "8"

    def test_other_strategies_take_the_place_of_the_question_s(self) -> None:
        plan = stress(STRATEGIES="proxy-single,proxy-single-spooled")
        assert [arm.name for arm in plan.arms] == ["proxy-single", "proxy-single-spooled"]

    def test_one_arm_is_no_comparison(self) -> None:
        with pytest.raises(QuestionError, match="nothing to be compared with"):
            stress(STRATEGIES="proxy-single")


class TestAb:
    def test_arms_on_one_stack(self) -> None:
        plan = ab(A="STRATEGY=proxy-chunked", B="STRATEGY=direct-single FILE_SIZE=64MiB VUS=2")
        assert [arm.name for arm in plan.arms] == ["A", "B"]
        assert [arm.title for arm in plan.arms] == [
            "STRATEGY=proxy-chunked", "STRATEGY=direct-single, FILE_SIZE=64MiB, VUS=2",
        ]  # fmt: skip
        assert {arm.stack for arm in plan.arms} == {""}
        assert (plan.replicated, plan.precision) == (False, 0.05)

    def test_arms_with_stacks_of_their_own_are_made_anew_at_least_six_times(self) -> None:
        plan = ab(own_stacks=True, B="FINALISE=detached")
        (main,) = [part for part in plan.parts if part.kind is PartKind.COMPARE]
        assert [arm.stack for arm in main.arms] == ["A", "B"]
        assert main.blocks_per_making == 4
        assert main.first_blocks >= 6 * main.blocks_per_making
        assert main.most_blocks % main.blocks_per_making == 0
        assert (plan.replicated, plan.precision) == (True, 0.10)
        assert estimate(plan).most_seconds <= 360

    def test_arms_of_one_strategy_are_told_apart_by_colour(self) -> None:
        assert len({arm.colour for arm in ab().arms}) == 2

    def test_a_revision_and_a_target_in_words(self) -> None:
        assert [arm.title for arm in ab(BASE="main").arms] == ["main", "the working tree"]
        assert ab(TARGET="http://127.0.0.1:1").arms[1].title == "the system at http://127.0.0.1:1"


class TestBudget:
    def test_more_budget_is_more_blocks_of_the_comparison_and_of_nothing_else(self) -> None:
        least_s = math.ceil(estimate(stress()).seconds)
        small, large = stress(BUDGET_S=str(least_s)), stress(BUDGET_S="1000")
        for before, after in zip(small.parts, large.parts, strict=True):
            more = after.most_blocks > before.most_blocks
            assert more is (after.kind is PartKind.COMPARE)
        assert large.parts[1].most_blocks == 14, "the question's own limit"

    def test_a_budget_below_the_first_stage_is_refused_with_what_it_takes(self) -> None:
        with pytest.raises(QuestionError, match=r"BUDGET_S=100 is too little: this takes about 4\d\d s"):
            stress(BUDGET_S="100")

    def test_the_estimate_counts_every_turn(self) -> None:
        plan = stress()
        turns_s = sum(
            part.first_blocks * turns_per_block(part) * part.period_s
            for part in plan.parts
            if part.kind is not PartKind.WARM_UP
        )
        assert estimate(plan).seconds > turns_s

    def test_the_disk_is_never_more_than_was_set_aside(self) -> None:
        assert estimate(stress()).bytes == stress().disk_bytes == 8_000_000_000
        tiny = stress(PROFILE="smoke").model_copy(update={"disk_bytes": 5})
        assert estimate(within_budget(tiny)).bytes == question.least_disk_bytes(tiny)

    def test_uploads_under_way_at_once_must_fit_twice(self) -> None:
        plan = ab(VUS="64", B="FILE_SIZE=256MiB")
        assert estimate(plan).bytes == 2 * 64 * 256 * MIB + question.STRETCH_BYTES


class TestMemory:
    def test_the_largest_arm_counts_once(self) -> None:
        plan = ab(VUS="100", A="FILE_SIZE=100MiB", B="STRATEGY=direct-single FILE_SIZE=1MiB")
        assert memory_bytes(plan) == 100 * (6 * 100 * MIB + question.VU_BYTES)

    def test_vus_count_without_any_file(self) -> None:
        assert memory_bytes(ab(VUS="2000", FILE_SIZE="64B")) > 2 * GB


class TestFiles:
    def test_prepared_questions_are_listed_without_the_frame_of_ab(self) -> None:
        assert "proxy-or-direct" in question.questions()
        assert "ab" not in question.questions()

    def test_an_unknown_question_names_those_there_are(self) -> None:
        with pytest.raises(QuestionError, match=r"no question x; there are .*proxy-or-direct"):
            load_question("x")

    def test_every_wrong_key_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(question, "QUESTIONS_FOLDER", tmp_path)
        (tmp_path / "q.yaml").write_text("question: why\narms: {A: ''}\nseed: x\nfile_size: 1MiB\nextra: 1\n")
        with pytest.raises(QuestionError) as caught:
            load_question("q")
        text = str(caught.value)
        assert [key for key in ("arms", "seed", "extra", "profiles") if f"q.yaml: {key}: " not in text] == []

    def test_wrong_words_of_an_arm_name_the_file(self) -> None:
        asked = load_question("proxy-or-direct").model_copy(
            update={"arms": {"one": "STRATEGY=proxy-chonked", "two": ""}}
        )
        with pytest.raises(WordsError, match=r"proxy-or-direct\.yaml: one: STRATEGY=proxy-chonked"):
            make_plan("run", asked, read_stress({}, STRATEGIES), STRATEGIES)
