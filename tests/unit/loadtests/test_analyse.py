"""From records to answers: the four questions, their refusals, exit codes and closing sentences."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.harness.analysis.analyse import analyse, analyse_bundle, read_analysis
from loadtests.harness.analysis.capacity import NOT_COMPARABLE, compare
from loadtests.harness.analysis.facts import Facts, read_facts
from loadtests.harness.analysis.model import Analysis
from loadtests.harness.analysis.sentences import price_sentence
from loadtests.harness.analysis.stats import ratio_of_pairs
from loadtests.harness.analysis.table import CSV_FIRST
from loadtests.harness.records.bundle import Bundle
from loadtests.harness.records.model import LedgerClass, Question, Severity, Trial, Validity
from tests.unit.loadtests import fabricate as make
from tests.unit.loadtests.fabricate import DIRECT, PROXY, SINGLE

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make.fabricate(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def facts(path: Path) -> Facts:
    return read_facts(Bundle(path))


@pytest.fixture(scope="module")
def analysis(path: Path) -> Analysis:
    return analyse_bundle(path)


def altered(facts: Facts, change: Callable[[Trial], Trial]) -> Analysis:
    return analyse(replace(facts, trials=tuple(map(change, facts.trials))))


class TestHowMuch:
    def test_ratio_interval_and_verdict(self, analysis: Analysis) -> None:
        assert analysis.capacity is not None
        ratio = analysis.capacity.ratios[0]
        assert (ratio.base, ratio.arm, ratio.n, ratio.verdict) == (PROXY, DIRECT, 6, "faster")
        assert ratio.low is not None and ratio.value is not None and ratio.high is not None
        assert ratio.low < 58 / 44 < ratio.high

    def test_proof_of_saturation_stands_beside_it(self, analysis: Analysis) -> None:
        assert analysis.capacity is not None
        assert {proof.arm: proof.proven for proof in analysis.capacity.saturation} == {
            PROXY: True,
            DIRECT: True,
        }

    def test_the_third_arm_has_no_verdict_and_prices_the_parts(self, analysis: Analysis) -> None:
        assert analysis.capacity is not None
        assert [arm.arm for arm in analysis.capacity.single] == [SINGLE]
        assert all(SINGLE not in (ratio.base, ratio.arm) for ratio in analysis.capacity.ratios)
        assert analysis.capacity.multipart_price == pytest.approx(66 / 58, rel=0.05)

    def test_a_reason_is_given_only_with_busy_processors(self, analysis: Analysis, facts: Facts) -> None:
        assert analysis.capacity is not None and analysis.capacity.because == "price.ratio"
        assert "because" in analysis.sentences[0].text
        idle = altered(facts, lambda t: t.model_copy(update={"host_cpu_s": (t.host_cpu_s or 0) / 2}))
        assert idle.capacity is not None and idle.capacity.because is None
        assert "because" not in idle.sentences[0].text
        assert "not identified" in idle.sentences[0].text

    def test_busy_with_other_programs_is_no_reason(self, facts: Facts) -> None:
        noisy = altered(facts, lambda t: make.with_process(t, "rest", cpu_s=2.0))
        assert noisy.capacity is not None and noisy.capacity.because is None

    @pytest.mark.parametrize("metric", sorted(NOT_COMPARABLE))
    def test_no_ratio_of_requests_per_second_can_be_formed(self, metric: str) -> None:
        with pytest.raises(ValueError, match="never compared"):
            compare(
                ident="x",
                metric=metric,
                couple=(PROXY, DIRECT),
                estimate=ratio_of_pairs([(1, 2)]),
                margin=0.1,
            )

    def test_equal_arms(self, tmp_path: Path) -> None:
        same = {PROXY: make.ARMS[PROXY], DIRECT: make.ARMS[PROXY]}
        found = analyse(make.facts_of(tmp_path, replace(make.SHORT, arms=same)))
        assert found.capacity is not None
        assert found.capacity.ratios[0].verdict == "equivalent within ±10 %"
        assert "equally fast" in found.sentences[0].text

    def test_a_slower_arm_is_told_the_other_way_round(self, tmp_path: Path) -> None:
        swapped = {PROXY: make.ARMS[DIRECT], DIRECT: make.ARMS[PROXY]}
        found = analyse(make.facts_of(tmp_path, replace(make.SHORT, arms=swapped)))
        assert found.capacity is not None and found.capacity.ratios[0].verdict == "slower"
        assert found.sentences[0].text.startswith("Proxy is 1.3")
        assert " as fast as direct on this machine (1." in found.sentences[0].text


class TestUntilWhen:
    def test_knee_of_a_saturating_curve(self, analysis: Analysis) -> None:
        assert {knee.arm: knee.gains_until_vus for knee in analysis.knees} == {PROXY: 16, DIRECT: 16}
        assert all(knee.bottleneck == "not identified" for knee in analysis.knees)
        assert all((knee.host_busy_at_knee or 0) > 0.85 for knee in analysis.knees)

    def test_an_invalid_level_does_not_void_the_run(self, facts: Facts) -> None:
        def change(trial: Trial) -> Trial:
            last = trial.plan.question is Question.RAMP and trial.plan.load.vus == 32
            return make.with_process(trial, "k6", cpu_s=7.9) if last else trial

        found = altered(facts, change)
        assert found.exit_code == 0
        assert (found.reach.reached, found.reach.planned) == (20, 22)
        assert "generator-cpu" in found.reach.text and "99 % of the processors" in found.reach.text


class TestBesideOthers:
    def test_percentiles_with_intervals(self, analysis: Analysis) -> None:
        assert analysis.neighbours is not None
        by_arm = {arm.arm: arm for arm in analysis.neighbours.arms}
        assert list(by_arm) == ["none", PROXY, DIRECT]
        assert all(arm.login_p95.low is not None for arm in by_arm.values())
        quiet, proxy, direct = (by_arm[name].login_p95.value or 0 for name in ("none", PROXY, DIRECT))
        assert quiet < direct < proxy
        assert by_arm[PROXY].ttd_p95.value is not None and by_arm["none"].ttd_p95.value is None

    def test_both_times_stand_together(self, analysis: Analysis) -> None:
        for row in analysis.table:
            assert (row.tta_p50.value is None) == (row.ttd_p50.value is None)

    def test_too_few_samples_are_counted_and_not_printed(self, facts: Facts) -> None:
        few = replace(facts, steps={trial: steps[:40] for trial, steps in facts.steps.items()})
        found = analyse(few)
        assert found.neighbours is not None
        login = found.neighbours.arms[0].login_p95
        assert login.value is None and 0 < login.n < login.minimum


class TestPrice:
    def test_counts_match_the_manifest(self, analysis: Analysis) -> None:
        by_arm = {price.arm: price for price in analysis.prices}
        assert by_arm[PROXY].statements == by_arm[PROXY].statements_expected == 5
        assert by_arm[DIRECT].store_requests == by_arm[DIRECT].store_requests_expected == 3
        assert by_arm[PROXY].gateway_bytes_in == pytest.approx(1.0)
        assert by_arm[DIRECT].gateway_bytes_in == pytest.approx(0.004)

    def test_cpu_by_process_with_authentication_apart(self, analysis: Analysis) -> None:
        price = next(price for price in analysis.prices if price.arm == PROXY)
        expected = make.ARMS[PROXY].cpu_ms
        system = sum(
            expected[name] for name in ("gateway", "upload", "files", "pg-upload", "pg-files", "minio")
        )
        assert price.system_cpu_s == pytest.approx(system / 1000, rel=1e-4)
        assert price.authentication_cpu_s == pytest.approx(0.0002, rel=1e-4)
        assert price.cpu_s["k6"] == pytest.approx(0.0096, rel=1e-4)
        assert price.peak_rss_bytes["minio"] == 240 << 20

    def test_a_process_without_samples_is_absent_not_zero(self, facts: Facts) -> None:
        def change(trial: Trial) -> Trial:
            uses = tuple(use for use in trial.processes if use.name != "minio")
            return trial.model_copy(update={"processes": uses})

        assert {price.system_cpu_s for price in altered(facts, change).prices} == {None}

    def test_the_processes_of_a_service_add_up(self, facts: Facts, analysis: Analysis) -> None:
        def split(trial: Trial) -> Trial:
            """The same use by two processes of upload."""
            (whole,) = [use for use in trial.processes if use.name == "upload"]
            others = [use for use in trial.processes if use is not whole]
            peak = whole.peak_rss_bytes or 0
            halves = [
                whole.model_copy(update={"name": name, "cpu_s": whole.cpu_s / 2, "peak_rss_bytes": peak // 2})
                for name in ("upload", "upload-2")
            ]
            return trial.model_copy(update={"processes": (*others, *halves)})

        for one, two in zip(analysis.prices, altered(facts, split).prices, strict=True):
            assert two.cpu_s == pytest.approx(one.cpu_s)
            assert two.peak_rss_bytes == one.peak_rss_bytes

    def test_a_login_before_every_upload_has_its_price_told(self, analysis: Analysis) -> None:
        priced = [p.model_copy(update={"authentication_cpu_s": 0.0236}) for p in analysis.prices]
        for login_each in (True, False):
            told = price_sentence(priced, analysis.names, (PROXY,), login_each=login_each)
            assert told is not None
            assert ("login before every upload costs 24 ms by proxy more" in told.text) is login_each


class TestOutcome:
    def test_valid(self, analysis: Analysis) -> None:
        assert (analysis.exit_code, analysis.ledger.failed) == (0, False)
        assert [sentence.kind for sentence in analysis.sentences] == ["answer"] * 4

    def test_a_failed_ledger_is_1_and_said_first(self, facts: Facts) -> None:
        table = facts.ledgers["t013"]
        lost = table.model_copy(
            update={"failed": True, "classes": {"verified": table.intents - 2, LedgerClass.LOST.value: 2}}
        )
        found = analyse(replace(facts, ledgers={**facts.ledgers, "t013": lost}))
        assert found.exit_code == 1
        assert found.sentences[0].kind == "invalid" and "2 x G-02" in found.sentences[0].text
        assert found.next_command == f"make ledger RUN={found.run}"
        assert found.ledger.by_arm[PROXY]["G-02"] == 2

    def test_a_failed_ledger_in_the_ramp_counts_too(self, facts: Facts) -> None:
        failed = facts.ledgers["t001"].model_copy(update={"failed": True, "flags": {"G-11": 1}})
        found = analyse(replace(facts, ledgers={**facts.ledgers, "t001": failed}))
        assert (found.exit_code, found.validity) == (1, Validity.INVALID)

    def test_an_invalid_trial_is_2_and_names_one_command(self, facts: Facts) -> None:
        def change(trial: Trial) -> Trial:
            return make.with_process(trial, "k6", cpu_s=15.9) if trial.plan.trial == "t014" else trial

        found = altered(facts, change)
        assert (found.exit_code, found.validity) == (2, Validity.INVALID)
        assert found.next_command == "make stress VUS=8"
        assert found.sentences[0].text.count("make ") == 1
        assert found.capacity is not None and found.capacity.ratios[0].verdict is None

    def test_an_interrupted_run_is_3_and_says_how_far_it_came(self, tmp_path: Path) -> None:
        found = analyse(make.facts_of(tmp_path, replace(make.SHORT, cut_after=9)))
        assert (found.exit_code, found.interrupted) == (3, True)
        assert "after 9 whole trials" in found.sentences[0].text
        assert found.capacity is not None and found.capacity.ratios[0].n == 4

    def test_interrupted_before_the_first_trial(self, tmp_path: Path) -> None:
        found = analyse(make.facts_of(tmp_path, replace(make.SHORT, cut_after=0)))
        assert (found.exit_code, found.capacity, found.table) == (3, None, ())

    def test_smoke_decides_nothing_and_succeeds(self, tmp_path: Path) -> None:
        found = analyse(make.facts_of(tmp_path, make.SMOKE))
        assert (found.exit_code, found.next_command) == (0, "make stress PROFILE=ci")
        assert found.capacity is not None and found.capacity.ratios[0].verdict is None

    def test_every_sentence_has_evidence_that_exists(self, analysis: Analysis) -> None:
        text = json.dumps(analysis.model_dump(mode="json"))
        for sentence in analysis.sentences:
            known = f'"id": "{sentence.evidence}"' in text or sentence.evidence in ("price", "warnings")
            assert known, sentence

    def test_absolute_rates_on_shared_processors_are_lower_bounds(
        self, analysis: Analysis, facts: Facts
    ) -> None:
        assert "at least 58" in analysis.sentences[0].text
        own = altered(facts, lambda t: t.model_copy(update={"host_cores": 8.0}))
        assert "at least" not in own.sentences[0].text

    def test_recorded_warnings_are_kept_once(self, facts: Facts) -> None:
        first = facts.trials[0]
        noisy = [w for w in make.warns(first) if w.severity is Severity.CAUTION]
        trials = (first.model_copy(update={"warnings": tuple(noisy * 2)}), *facts.trials[1:])
        found = analyse(replace(facts, trials=trials))
        assert [warn.code for warn in found.warnings].count("noisy-host") == 1


class TestFiles:
    def test_analysis_reads_back_equal(self, path: Path, analysis: Analysis) -> None:
        assert read_analysis(path) == analysis

    def test_same_bundle_same_bytes(self, path: Path, analysis: Analysis) -> None:
        before = [(path / name).read_bytes() for name in ("analysis.json", "table.csv")]
        assert analyse_bundle(path) == analysis
        assert [(path / name).read_bytes() for name in ("analysis.json", "table.csv")] == before

    def test_csv_keeps_the_older_columns_first(self, path: Path, analysis: Analysis) -> None:
        with (path / "table.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert tuple(rows[0])[:5] == CSV_FIRST
        assert len(rows) == len(analysis.table)
        assert rows[0]["strategy"] == PROXY and float(rows[0]["goodput_per_s"]) == pytest.approx(44, rel=0.05)
