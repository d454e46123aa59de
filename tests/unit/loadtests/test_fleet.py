"""Fleets that download: from k6's lines to the sentence and the claim."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from loadtests.harness.analyse import analyse
from loadtests.harness.analysis.fleet import fleet
from loadtests.harness.claims import Decision, judged_claims
from loadtests.harness.k6.console import Played, by_stack
from loadtests.harness.k6.tally import Tally
from loadtests.harness.records.plan import Arm, Claim, Part, PartKind
from loadtests.harness.records.result import Fleet, Result
from loadtests.harness.records.vocabulary import DOWNLOADED, RESUMED, LedgerClass
from loadtests.harness.report.page import view_of
from loadtests.harness.report.tables import summary, tables
from loadtests.harness.report.template import html, markdown
from loadtests.harness.report.terminal import print_result
from loadtests.harness.sentences import told
from tests.unit.loadtests import switchback
from tests.unit.loadtests.switchback import FakeBundle, World, arm, part

pytestmark = pytest.mark.unit

ROUNDS, LEVELS = 6, (2, 8)
RATES = {"proxied 2 VU": 40.0, "proxied 8 VU": 40.0, "presigned 2 VU": 50.0, "presigned 8 VU": 75.0}


def arms() -> tuple[Arm, ...]:
    return tuple(
        arm(name, title=f"DOWNLOAD={name}", asked={"DOWNLOAD": name}, strategy="proxy-single", download=name,
            cut_every=5)
        for name in ("proxied", "presigned")
    )  # fmt: skip


def a_fleet() -> Part:
    levels = [
        one.model_copy(update={"name": f"{one.name} {vus} VU", "vus": vus})
        for vus in LEVELS
        for one in arms()
    ]
    return part(*levels, name="fleet", kind=PartKind.FLEET, first=ROUNDS, most=ROUNDS)


def recorded(**of_plan: Any) -> FakeBundle:
    """Every fifth download was cut and resumed."""
    own, world = a_fleet(), World(rates=RATES)
    world.play(own, ROUNDS)
    world.uploads = [
        one.model_copy(update={"flags": (DOWNLOADED,) if at % 5 else (DOWNLOADED, RESUMED)})
        for at, one in enumerate(world.uploads)
    ]
    told_of = {"arms": arms(), "question": "fleet", "asks": "Does it rise?", **of_plan}
    return switchback.bundle(world, planned=switchback.plan(own, **told_of))


def result(**of_plan: Any) -> Result:
    return told(analyse(recorded(**of_plan)))


@pytest.fixture(scope="module")
def whole() -> Result:
    return result()


@pytest.fixture(scope="module")
def found(whole: Result) -> Fleet:
    assert whole.fleet is not None
    return whole.fleet


class TestFigures:
    def test_every_arm_has_every_number_of_clients(self, found: Fleet) -> None:
        cells = [(cell.arm, cell.clients) for cell in found.cells]
        assert cells == [("proxied", 2), ("proxied", 8), ("presigned", 2), ("presigned", 8)]
        assert (found.file_size_bytes, found.cut_every) == (1_000_000, 5)

    def test_rates_bytes_and_processor_time_are_of_verified_downloads(self, found: Fleet) -> None:
        for cell in found.cells:
            rate = RATES[f"{cell.arm} {cell.clients} VU"]
            assert cell.downloads_per_s.value == pytest.approx(rate, rel=0.03)
            assert cell.payload_mb_per_s.value == pytest.approx(rate, rel=0.03)
            assert cell.cpu_s_per_download.value == pytest.approx(sum(switchback.OURS.values()), rel=0.03)
            assert cell.cpu_s_by_process["gateway"].value == pytest.approx(0.004, rel=0.03)
            assert cell.took_p50.ms.value == pytest.approx(1000 * cell.clients / rate, rel=0.03)
            assert cell.resumed.value == pytest.approx(0.2, abs=0.02)
            assert (cell.downloads_per_s.n, cell.failed) == (ROUNDS, 0)

    def test_ratios_are_of_more_clients_and_of_the_other_arm(self, found: Fleet) -> None:
        ratios = {(one.arm, one.clients, one.over, one.over_clients): one.ratio for one in found.ratios}
        assert {key: ratio.value for key, ratio in ratios.items()} == pytest.approx(
            {
                ("proxied", 8, "proxied", 2): 1.0,
                ("presigned", 8, "presigned", 2): 1.5,
                ("presigned", 2, "proxied", 2): 1.25,
                ("presigned", 8, "proxied", 8): 1.875,
            },
            rel=0.03,
        )
        assert {ratio.n for ratio in ratios.values()} == {ROUNDS}

    def test_what_failed_counts_and_is_no_download(self) -> None:
        made = recorded()
        stretch = made.world.stretches[0]
        at = stretch.t0 + stretch.washout_s + 0.1
        failed = {"ledger": LedgerClass.CLEAN_FAILURE, "acked_at": None, "durable_at": None, "failed_at": at}
        made.world.uploads.append(switchback.upload(stretch, stretch.order[0], at, at, **failed))
        again = analyse(made).fleet
        assert again is not None
        assert {f"{cell.arm} {cell.clients} VU" for cell in again.cells if cell.failed} == {stretch.order[0]}

    def test_without_a_round_there_is_nothing(self) -> None:
        assert fleet(arms(), a_fleet(), [], [], []) is None


class TestWords:
    def test_the_answer_says_whether_the_rate_rises_and_what_the_fleet_gets(self, whole: Result) -> None:
        said = [one.text for one in whole.sentences]
        assert whole.headline.startswith("8 clients instead of 2 that download one file of 977 KiB bring ")
        assert whole.headline.endswith(" times the rate for presigned.")
        assert said[1].startswith("The fleet of 8 gets ") and "MB/s) for proxied and" in said[1]
        assert said[2].startswith("With 8 clients presigned brings 1.87")
        assert said[2].endswith(" times the downloads per second of proxied.")
        assert said[3].startswith("Of all downloads, each ") and "(0 failed) for proxied" in said[3]
        assert said[4].startswith("In processor time of our services and databases a download costs, with 8 ")

    def test_a_smoke_run_has_no_rate(self) -> None:
        headline = result(profile="smoke").headline
        assert (
            headline.startswith("A smoke run is too short for rates: ") and "by up to 8 clients" in headline
        )

    @pytest.mark.parametrize(
        ("own", "decision"), [("presigned", Decision.HOLDS), ("proxied", Decision.REFUTED)]
    )
    def test_whether_the_rate_rises_is_decided_round_by_round(
        self, whole: Result, own: str, decision: Decision
    ) -> None:
        decides = {"metric": "downloads_per_s", "arm": own, "clients": 8, "over": own, "over_clients": 2}
        claim = Claim.model_validate({"source": "s", "claim": "c", "decides": [{**decides, "shows": "more"}]})
        (judged,) = judged_claims(switchback.plan(a_fleet(), arms=arms(), claims=(claim,)), whole)
        assert judged.decision is decision
        assert judged.conditions[0].text.startswith(
            f"downloads per second (files of 977 KiB), {own} with 8 clients over {own} with 2: claimed more, "
            "measured "
        )

    def test_a_rate_alone_and_the_other_way_round(self, whole: Result) -> None:
        less = {"metric": "downloads_per_s", "arm": "proxied", "clients": 8, "over": "presigned",
                "over_clients": 8, "shows": "less"}  # fmt: skip
        alone = {"metric": "downloads_per_s", "arm": "proxied", "clients": 8, "least": 30}
        claim = Claim.model_validate({"source": "s", "claim": "c", "decides": [less, alone]})
        (judged,) = judged_claims(switchback.plan(a_fleet(), arms=arms(), claims=(claim,)), whole)
        assert [one.decision for one in judged.conditions] == [Decision.HOLDS, Decision.HOLDS]

    def test_page_twin_and_terminal_have_the_same_rates(self, whole: Result) -> None:
        made, out = recorded(), StringIO()
        view = view_of(whole, made.plan(), made.manifest())
        page, twin = html(view), markdown(view)
        print_result(whole, made.plan(), Path("results"), Console(file=out, width=80))
        assert 'id="chart-fleet"' in page[: page.index('id="question-fleet"')], "in the first screen"
        assert "Files of 977 KiB, 2 and 8 clients at once" in page
        table = summary(whole)
        assert table is not None and table.columns == ("arm", "2 clients", "8 clients")
        assert table.rows[0][2].split()[0] in out.getvalue()
        assert "Which is faster" not in page and "slow clients" not in page
        assert (len(tables(whole)["fleet"].rows), len(tables(whole)["fleet-ratios"].rows)) == (4, 4)
        assert all(sentence.text in twin for sentence in whole.sentences)
        for sentence in whole.sentences:
            assert f'id="{sentence.evidence}"' in page


LINE: dict[str, object] = {
    "e": "d", "s": 1, "a": 0, "u": 1, "due": None, "ref": "f1", "n": 9, "t0": 1000, "t3": 3500, "ok": True,
    "re": False, "q": 1, "step": None, "st": None, "code": None,
}  # fmt: skip
FAILED: dict[str, object] = {"ok": False, "step": "compare", "st": 0, "code": "other-bytes"}


class TestLines:
    def of(self, **given: object) -> Any:
        played = {1: Played("s001", ("proxied",), ("",), (("user-0", "user-1"),))}
        lines = by_stack([json.dumps(LINE | given).encode()], played)[""]
        assert (lines.unreadable, lines.intents) == (0, []), "nothing of it is stored"
        (sample,) = lines.downloads
        return sample

    def test_what_arrived_as_it_was_uploaded_is_verified(self) -> None:
        sample = self.of(re=True)
        assert (sample.ledger, sample.flags) == (LedgerClass.VERIFIED, (DOWNLOADED, RESUMED))
        assert (sample.started_at, sample.acked_at, sample.durable_at) == (1.0, 3.5, 3.5)
        assert (sample.user_id, sample.arm, sample.size_bytes) == ("user-1", "proxied", 9)

    def test_other_bytes_are_corrupt_and_an_error_is_a_failure(self) -> None:
        assert self.of(**FAILED).ledger is LedgerClass.CORRUPT
        sample = self.of(**FAILED | {"step": "download", "st": 503, "code": "overloaded"})
        assert (sample.ledger, sample.failed_status) == (LedgerClass.CLEAN_FAILURE, 503)
        assert (sample.failed_at, sample.acked_at, sample.durable_at) == (3.5, None, None)

    def test_the_tally_counts_downloads(self, tmp_path: Path) -> None:
        console = tmp_path / "console.jsonl"
        texts = (json.dumps(one, separators=(",", ":")) for one in (LINE, LINE | FAILED))
        console.write_text("".join(f"{text}\n" for text in texts))
        tally = Tally(console)
        assert [(ack.arm, ack.began, ack.ended) for ack in tally.read(1)] == [(0, 1.0, 3.5)]
        assert tally.failed == 1
