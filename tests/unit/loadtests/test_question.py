"""Questions, the plans that follow from them, and what a plan says it will take."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtests.harness import question
from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.latency import FEWEST_PERIODS, FEWEST_SAMPLES
from loadtests.harness.order import turns_per_block
from loadtests.harness.plan import planning
from loadtests.harness.plan.planning import VU_BYTES, estimate, make_plan, memory_bytes, within_budget
from loadtests.harness.plan.warm_up import with_capacity
from loadtests.harness.question import QuestionError, load_question, questions
from loadtests.harness.records.plan import NOBODY, PartKind, Plan
from loadtests.harness.words import ASK, PROFILES, ProfileName, as_typed, read_ab, read_question

pytestmark = pytest.mark.unit

STRATEGIES = load_strategies()
MIB, GB = 1024**2, 10**9


def ask(name: str, **words: str) -> Plan:
    asked = load_question(name)
    known = as_typed(asked.arms)
    typed = read_question(words, ASK, STRATEGIES, known, texts=asked.arms, load=asked.load)
    return make_plan("run", asked, typed, STRATEGIES)


def stress(**words: str) -> Plan:
    return ask("proxy-or-direct", **words)


def ab(**words: str) -> Plan:
    settings = {"upload": {"FINALISE": "one of"}}
    typed = read_ab(words, STRATEGIES, {"A": settings, "B": settings})
    return make_plan("run", load_question("ab"), typed, STRATEGIES)


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
        for plan in (
            stress(PROFILE=profile),
            ab(PROFILE=profile),
            ab(PROFILE=profile, B="FINALISE=detached"),
        ):
            assert estimate(plan).most_seconds <= plan.budget_s


class TestProxyOrDirect:
    def test_ci_answers_first_within_three_minutes_and_ends_within_eight(self) -> None:
        plan = stress()
        until_compared = plan.model_copy(update={"parts": plan.parts[:2]})
        assert until_compared.parts[-1].kind is PartKind.COMPARE
        assert estimate(until_compared).seconds <= 180
        assert estimate(plan).most_seconds <= 480

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
        assert [arm.name for arm in parts[PartKind.LEVELS].arms][:4] == [
            "proxy-chunked 3 VU", "direct-multipart 3 VU", "direct-single 3 VU", "proxy-chunked 16 VU",
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
        plan = ab(B="FINALISE=detached")
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
        assert large.parts[1].most_blocks == 20, "the question's own limit"

    def test_a_budget_below_the_first_stage_is_refused_with_what_it_takes(self) -> None:
        with pytest.raises(QuestionError, match=r"BUDGET_S=100 is too little: this takes about 3\d\d s"):
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
        assert estimate(within_budget(tiny)).bytes == planning.least_disk_bytes(tiny)

    def test_uploads_under_way_at_once_must_fit_twice(self) -> None:
        plan = ab(VUS="64", B="FILE_SIZE=256MiB")
        assert estimate(plan).bytes == 2 * 64 * 256 * MIB + planning.STRETCH_BYTES


class TestMemory:
    def test_the_largest_arm_counts_once(self) -> None:
        plan = ab(PROFILE="smoke", VUS="100", A="FILE_SIZE=100MiB", B="STRATEGY=direct-single FILE_SIZE=1MiB")
        assert memory_bytes(plan) == 100 * (6 * 100 * MIB + VU_BYTES)

    def test_vus_count_without_any_file(self) -> None:
        assert memory_bytes(ab(PROFILE="smoke", VUS="2000", FILE_SIZE="64B")) > 2 * GB


@pytest.mark.parametrize("name", questions())
class TestPreparedQuestions:
    @pytest.mark.parametrize("profile", PROFILES)
    def test_every_profile_makes_a_plan(self, name: str, profile: ProfileName) -> None:
        plan = ask(name, PROFILE=profile)
        assert [arm.name for arm in plan.arms] == list(load_question(name).arms)
        if not any(part.kind is PartKind.COMPARE for part in plan.parts):
            assert {part.kind for part in plan.parts} & {PartKind.CROWD, PartKind.FLEET}
            return
        (main,) = [part for part in plan.parts if part.kind is PartKind.COMPARE]
        others = (PartKind.RATES, PartKind.KILL)  # beside these, the comparison only calibrates
        rounds = [part.first_blocks for part in plan.parts if part.kind in others]
        if profile == "smoke" or min(rounds, default=0) >= 6:
            return
        assert main.first_blocks >= 6, "fewer blocks show nothing"
        if main.blocks_per_making:
            assert main.first_blocks >= 6 * main.blocks_per_making, "fewer makings show nothing"

    def test_ci_takes_five_minutes_at_most(self, name: str) -> None:
        most_s = 480 if name == "proxy-or-direct" else 300
        assert estimate(ask(name)).most_seconds <= most_s

    def test_what_it_is_about_is_more_than_a_comparison_where_it_has_such_a_part(self, name: str) -> None:
        others = {
            "durable": PartKind.KILL, "fleet": PartKind.FLEET, "slow-clients": PartKind.CROWD,
            **dict.fromkeys(("overload", "rates", "loops"), PartKind.RATES),
        }  # fmt: skip
        assert ask(name).point is others.get(name, PartKind.COMPARE)

    def test_it_says_what_was_expected(self, name: str) -> None:
        assert load_question(name).expected


class TestQuestions:
    def test_words_of_its_load_reach_the_plan(self) -> None:
        plan = ask("db-pool")
        assert {(arm.vus, arm.file_size_bytes) for arm in plan.arms} == {(50, 65536)}
        assert not plan.calibrates, "the question says how many clients there are"
        assert {arm.vus for arm in ask("db-pool", VUS="8").arms} == {8}
        assert ask("hash").login_each and ask("hash").calibrates

    def test_arms_with_the_same_settings_share_a_stack(self) -> None:
        stacks = {arm.name: arm.stack for arm in ask("hops").arms}
        assert stacks["nginx and new connections"] == stacks["nginx"] != stacks["no nginx"]
        assert {arm.name for arm in ask("hops").arms if arm.keep_alive} == {"nginx", "no nginx"}
        assert len({arm.stack for arm in ask("distance").arms}) == 3

    def test_more_arms_have_fewer_blocks_so_that_the_budget_holds(self) -> None:
        def blocks(plan: Plan) -> int | None:
            return next(part.blocks_per_making for part in plan.parts if part.kind is PartKind.COMPARE)

        two, four = blocks(ask("replicas")), blocks(ask("db-pool"))
        assert two and four and two > four >= 1

    def test_many_clients_make_long_turns_which_the_estimate_knows(self) -> None:
        assert estimate(ask("pooler", VUS="64")).seconds <= 300
        few, many = (estimate(ask("db-pool", VUS=vus, PROFILE="smoke")).seconds for vus in ("8", "200"))
        assert many > 2 * few
        assert estimate(ab(VUS="64", B="FINALISE=detached")).seconds <= 360
        assert estimate(ask("logging", VUS="850")).seconds > 1000, "told, and not refused"

    def test_offered_rates_are_shares_until_the_comparison_says_of_what(self) -> None:
        (part,) = [one for one in ask("overload").parts if one.kind is PartKind.RATES]
        assert [arm.name for arm in part.arms][:3] == ["limit at 80 %", "no limit at 80 %", "limit at 150 %"]
        assert {arm.rate_per_s for arm in part.arms} == {None}
        assert part.washout_s == part.period_s / 2
        offered = {arm.name: arm.rate_per_s for arm in with_capacity(part, 100.0).arms}
        assert offered["no limit at 300 %"] == 300.0

    def test_kills_come_last_in_turns_of_their_own(self) -> None:
        plan = ask("durable")
        part = plan.parts[-1]
        assert (part.kind, part.kill_after_s, part.period_s) == (PartKind.KILL, 3.0, 6.0)
        assert [(arm.name, arm.of, arm.stack) for arm in part.arms][2] == (
            "detached with a kill", "detached", "detached",
        )  # fmt: skip
        assert {one.kill_after_s for one in plan.parts[:-1]} == {None}
        assert turns_per_block(part) == 3

    def test_nobody_s_running_testbed_is_killed(self) -> None:
        asked = load_question("durable")
        texts = {name: f"STRATEGY={name}" for name in ("proxy-chunked", "direct-single")}
        typed = read_question({}, ASK, STRATEGIES, as_typed(texts), texts=texts, load=asked.load)
        with pytest.raises(QuestionError, match="proxy-chunked, direct-single: kill ends processes"):
            make_plan("run", asked, typed, STRATEGIES)

    def test_a_crowd_grows_and_its_turns_follow_the_line(self) -> None:
        plan = ask("slow-clients")
        crowds = [one for one in plan.parts if one.kind is PartKind.CROWD]
        assert [one.name for one in crowds] == ["crowd-10", "crowd-50", "crowd-200"]
        assert [one.arms[0].vus for one in crowds] == [10, 50, 200]
        assert [one.first_blocks for one in crowds] == [3, 3, 6]
        assert len({arm.stack for arm in plan.arms}) == len(plan.arms) == 5, "memory of its own for each"
        assert {(one.period_s, one.washout_s) for one in crowds} == {(3.3, 2.1)}
        assert crowds[0].spread_s == pytest.approx(1.907, abs=1e-3)
        (slower, *_) = [one for one in ask("slow-clients", BANDWIDTH_MBIT="1.9").parts if one.spread_s]
        assert (slower.period_s, slower.washout_s) == (3.9, 2.4)
        assert not plan.calibrates

    @pytest.mark.parametrize(("profile", "levels"), [("ci", 1), ("full", 4)])
    def test_beside_the_largest_crowds_enough_others_log_in_and_list(
        self, profile: ProfileName, levels: int
    ) -> None:
        crowds = [one for one in ask("slow-clients", PROFILE=profile).parts if one.kind is PartKind.CROWD]
        for one in crowds[-levels:]:
            assert one.first_blocks >= FEWEST_PERIODS
            # One of each turn may lie beyond its bounds.
            in_a_turn = min(one.login_rate_per_s, one.list_rate_per_s) * (one.period_s - one.washout_s) - 1
            assert in_a_turn * one.first_blocks > FEWEST_SAMPLES[0.95]

    def test_a_fleet_has_every_arm_with_every_number_of_clients_in_one_round(self) -> None:
        plan = ask("fleet")
        part = plan.parts[-1]
        assert (part.kind, turns_per_block(part), part.first_blocks) == (PartKind.FLEET, 6, 6)
        assert [(arm.name, arm.of, arm.vus) for arm in part.arms][1:3] == [
            ("presigned 10 VU", "presigned", 10), ("proxied 50 VU", "proxied", 50),
        ]  # fmt: skip
        assert part.washout_s == pytest.approx(part.period_s / 3)
        assert {(arm.download, arm.files, arm.cut_every, arm.stack) for arm in part.arms} == {
            ("proxied", 1, 5, ""), ("presigned", 1, 5, ""),
        }  # fmt: skip
        assert plan.requests_per_upload == pytest.approx({"proxied": 1.2, "presigned": 2.2})
        assert plan.statements_per_upload == plan.store_requests_per_upload == {}, "a cut may ask twice"
        assert len({arm.colour for arm in plan.arms}) == 2 and plan.ways == () and not plan.calibrates

    def test_a_fleet_stores_nothing_while_it_downloads(self) -> None:
        assert planning.least_disk_bytes(ask("fleet")) == planning.STRETCH_BYTES

    def test_a_fleet_of_uploads_is_refused(self) -> None:
        asked = load_question("fleet")
        texts = {name: f"STRATEGY={name}" for name in ("proxy-chunked", "direct-single")}
        typed = read_question({}, ASK, STRATEGIES, as_typed(texts), texts=texts, load=asked.load)
        with pytest.raises(QuestionError, match="proxy-chunked, direct-single: a fleet downloads; expected"):
            make_plan("run", asked, typed, STRATEGIES)

    def test_a_batch_is_told_by_its_files(self) -> None:
        plan = ask("batch")
        one, together, down, down_together = plan.arms
        assert [arm.files for arm in plan.arms] == [1, 5, 1, 5]
        assert [arm.download for arm in plan.arms] == [None, None, "presigned", "batch"]
        assert {arm.file_size_bytes for arm in plan.arms} == {50_000}
        assert plan.requests_per_upload == pytest.approx(
            {one.name: 1, together.name: 0.2, down.name: 2, down_together.name: 1.2}
        )
        assert plan.statements_per_upload == pytest.approx(
            {one.name: 4, together.name: 4, down.name: 1, down_together.name: 0.2}
        )
        assert plan.store_requests_per_upload == {
            one.name: 1, together.name: 1, down.name: 0, down_together.name: 0,
        }  # fmt: skip
        assert len(plan.pairs) == 3 and {arm.stack for arm in plan.arms} == {""}

    def test_with_reads_nobody_expects_a_number_of_statements(self) -> None:
        plan = ask("cache")
        assert plan.statements_per_upload == {}
        assert set(plan.requests_per_upload.values()) == {12}


GOOD = """
question: why
arms: {one: VUS=2, two: VUS=4}
"""
CLAIM = (
    "claims: [{source: s, claim: c, decides: [{metric: uploads_per_s, arm: one, over: two, shows: more}]}]"
)
CI = """
profiles:
  ci:
    {margin: 0.1, precision: 0.1, budget_s: 9, disk: 1GB, vus: 1, warm_up: {period_s: 1},
     """
CROWD = CI + "crowd: {period_s: 1, clients: {1: 1, 2: 1}, login_rate_per_s: 1, list_rate_per_s: 1}}"
FLEET = CI + "fleet: {period_s: 1, rounds: 1, clients: [1, 2]}}"
LEVELS = CI + "levels: {period_s: 1, rounds: 1, of_vus: [1, 2]}}"


class TestFiles:
    @pytest.fixture
    def load(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], question.Question]:
        """Loads a text as if it were a file of the folder."""
        (tmp_path / "ab.yaml").write_bytes((question.QUESTIONS_FOLDER / "ab.yaml").read_bytes())
        monkeypatch.setattr(question, "QUESTIONS_FOLDER", tmp_path)

        def loaded(text: str) -> question.Question:
            (tmp_path / "q.yaml").write_text(text)
            return load_question("q")

        return loaded

    def test_prepared_questions_are_listed_without_the_frame_of_ab(self) -> None:
        assert "proxy-or-direct" in questions()
        assert "ab" not in questions()

    @pytest.mark.parametrize("name", ["prox-or-direct", "../questions/hash"])
    def test_an_unknown_question_names_those_there_are(self, name: str) -> None:
        with pytest.raises(QuestionError, match=rf"no question {name}.*there are .*proxy-or-direct"):
            load_question(name)

    def test_profiles_that_are_not_there_are_those_of_ab_in_five_minutes(
        self, load: Callable[[str], question.Question]
    ) -> None:
        found = load(GOOD + CLAIM)
        assert found.shared_profiles
        assert (found.profiles["ci"].budget_s, found.profiles["ci"].margin) == (300, 0.10)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("question: why\narms: {A: ''}", ["arms: {'A': ''}: "]),
            ("question: why", ["arms: missing"]),
            (GOOD + "name: x\nshared_profiles: true", [
                "name: this key is not known", "shared_profiles: this key is not known",
            ]),
            (GOOD + "question: again", ["q.yaml is not YAML", "question is there twice"]),
            ("question: [", ["q.yaml is not YAML"]),
            ("- a list", ["expected keys such as question and arms"]),
            (GOOD + "seed: 7\nextra: 1", ["seed: this key is not known", "extra: this key is not known"]),
            ("question: why\narms: {on: VUS=2, two: VUS=3}", ["arms.1: True: expected text; YAML"]),
            ("question: why\narms: {one: 3, two: [x]}", ["arms.two: ['x']: "]),
            (GOOD + "load: {VUS: 0, FILE_SZE: 1}", [
                "load.FILE_SZE: no word for all arms; did you mean FILE_SIZE?",
                "load.VUS=0: expected a whole number from 1 to 2000",
            ]),
            (GOOD + "pairs: [[one, tow], [two, two]]", [
                "pairs: 'tow': no such arm; did you mean two?; expected one of one, two",
                "pairs: 'two' with itself",
            ]),
            (GOOD + CLAIM.replace("over: two", "over: three"), ["claims.0.decides: 'three': no such arm"]),
            (GOOD + CLAIM.replace("uploads_per_s", "uploads"), [
                "claims.0.decides.0.metric: 'uploads': Input should be 'uploads_per_s'",
            ]),
            (GOOD + CLAIM.replace("shows: more", "shows: more, least: 2"), ["expected least and/or most"]),
            (GOOD + CLAIM.replace("shows: more", "x: 2"), ["claims.0.decides.0.x: this key is not known"]),
            (GOOD + CLAIM.replace("over: two, ", ""), ["`shows` needs `over`"]),
            (GOOD + CLAIM.replace("shows: more", "rate: 2, shows: more"), [
                "claims.0.decides.rate: 2: no part offers it",
            ]),
            (GOOD + CLAIM.replace("uploads_per_s", "acked_p95_ms"), ["acked_p95_ms is of an offered rate"]),
            (GOOD + "profiles: {ci: {kill: {period_s: 3, rounds: 1, after_s: 4}}}", [
                "profiles.ci.kill: {'period_s': 3, 'rounds': 1, 'after_s': 4}: expected after_s within",
            ]),
            (GOOD + CLAIM.replace("uploads_per_s", "held_share"), [
                "claims.0.decides: held_share: expected a profile with a crowd",
            ]),
            (GOOD + CROWD, ["load.BANDWIDTH_MBIT: missing; a crowd is one of clients on slow lines"]),
            (GOOD + CLAIM.replace("uploads_per_s", "downloads_per_s"), [
                "says of how many clients: clients, and over_clients of what it is compared with",
            ]),
            (GOOD + CLAIM.replace("uploads_per_s", "downloads_per_s, clients: 9, over_clients: 2") + FLEET, [
                "claims.0.decides.clients: 9: no fleet is so large; expected 1, 2",
            ]),
            (GOOD + CLAIM.replace("shows: more", "clients: 3, shows: more"), [
                "downloads_per_s, and nothing else, says of how many clients",
            ]),
            (GOOD + CROWD.replace("{1: 1, 2: 1}", "{0: 1, 2: 0}"), [
                "profiles.ci.crowd.clients.0: 0: Input should be greater than or equal to 1",
                "profiles.ci.crowd.clients.2: 0: Input should be greater than or equal to 1",
            ]),
            (GOOD + CROWD.replace(", login_rate_per_s: 1", ""), [
                "profiles.ci.crowd.login_rate_per_s: missing",
            ]),
            (GOOD + LEVELS, ["expected compare, crowd or fleet"]),
            (GOOD + LEVELS.replace("[1, 2]", "[2, 0.5]"), [
                "profiles.ci.levels:", "expected rising numbers, 1 among them: the VUs of the comparison",
            ]),
            (GOOD + CLAIM.replace("shows: more", "file_size: big, least: 2"), [
                "claims.0.decides.0.file_size: 'big': expected bytes or a size such as 1MiB",
            ]),
        ],
    )  # fmt: skip
    def test_every_mistake_is_named_with_key_value_and_what_was_expected(
        self, load: Callable[[str], question.Question], text: str, said: list[str]
    ) -> None:
        with pytest.raises(QuestionError) as caught:
            load(text)
        lines = str(caught.value).splitlines()
        assert lines[0].startswith("q.yaml")
        assert [piece for piece in said if piece not in str(caught.value)] == [], lines
