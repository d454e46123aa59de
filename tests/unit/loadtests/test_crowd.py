"""Slow clients: what they make gateway and upload hold, from looks to the sentence and the claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from loadtests.harness import cost
from loadtests.harness.analyse import analyse
from loadtests.harness.analysis.crowd import crowd
from loadtests.harness.analysis.decision import decision
from loadtests.harness.claims import Decision, judged_claims
from loadtests.harness.periods import Period, Samples
from loadtests.harness.records.plan import Arm, Claim, Part, PartKind
from loadtests.harness.records.result import Crowd, Result
from loadtests.harness.records.result import Decision as Costed
from loadtests.harness.records.samples import Look, StepSample
from loadtests.harness.report.charts_evidence import charts
from loadtests.harness.report.page import view_of
from loadtests.harness.report.tables import summary, tables
from loadtests.harness.report.template import html, markdown
from loadtests.harness.report.terminal import print_result
from loadtests.harness.sentences import told
from loadtests.harness.testbeds.network import Link
from tests.unit.loadtests import fabricate as make
from tests.unit.loadtests import switchback
from tests.unit.loadtests.switchback import arm, part

pytestmark = pytest.mark.unit

MIB = 1024**2
FILE_BYTES, ROUNDS, COUNTED_S = MIB // 2, 3, 2.3
# MiB that gateway and upload hold of every file that is under way, by arm, above what they hold anyway.
OF_EACH = {"buffered": 0.4, "direct": 0.0}
ANYWAY = 50 * MIB


def arms() -> list[Arm]:
    """With stacks of their own, so that one is idle while it is the other's turn."""
    return [arm(name, asked={"X": name}, stack=name, file_size_bytes=FILE_BYTES, vus=10) for name in OF_EACH]


def level(vus: int) -> Part:
    loads = (one.model_copy(update={"name": f"{one.name} {vus} VU", "vus": vus}) for one in arms())
    return part(*loads, name=f"crowd-{vus}", kind=PartKind.CROWD, first=ROUNDS, most=ROUNDS)


def period(own: Arm, number: int) -> Period:
    held = {
        f"{name}/{process}": ANYWAY + (round(OF_EACH[name] * MIB * own.vus) if name == own.of else 0)
        for name in OF_EACH
        for process in ("gateway", "upload", "files")
    }
    begin, uploads = 100.0 * number, own.vus * COUNTED_S / 2
    return Period(
        part=f"crowd-{own.vus}", stretch="s001", index=number, block=number, instance=0, arm=own.name,
        before=None, begin=begin, end=begin + COUNTED_S, uploads=uploads, thirds=(0.0, 0.0), touched=9,
        acknowledged=9, became_durable=9, failed=0, limited=0, refused=0, acked_s=np.empty(0),
        durable_s=np.empty(0),
        cpu_s={f"{own.of}/{name}": 0.002 * uploads for name in ("gateway", "upload", "files")}
        | dict.fromkeys(("pg-upload", "pg-files"), 0.001 * uploads),
        host_busy_s=1.0, disk_wait_s=0.0, peak_rss_bytes=held,
        mean_rss_bytes={name: size // 2 for name, size in held.items()},
    )  # fmt: skip


def found() -> Crowd:
    parts = [level(200), level(10)]
    periods = {
        one.name: [period(own, number) for number in range(ROUNDS) for own in one.arms] for one in parts
    }
    made = crowd(arms(), parts, periods, {})
    assert made is not None
    return made


def result(**given: object) -> Result:
    values: dict[str, object] = {
        "crowd": found(), "compare": None, "knees": (), "neighbours": None, "sizes": None,
        "limits": (), "prices": (), "conditions": make.conditions(bandwidth_mbit=2.0),
    }  # fmt: skip
    return make.result(arms(), **(values | given))


def test_memory_is_that_of_the_arm_s_own_gateway_and_upload() -> None:
    cells = {(cell.arm, cell.clients): cell for cell in found().cells}
    assert list(cells) == [("buffered", 10), ("buffered", 200), ("direct", 10), ("direct", 200)]
    full = cells["buffered", 200]
    assert full.most_bytes.value == pytest.approx(2 * (ANYWAY + 80 * MIB))
    assert full.mean_bytes.value == pytest.approx(ANYWAY + 80 * MIB)
    assert full.most_by_process["upload"].value == pytest.approx(ANYWAY + 80 * MIB)
    assert full.most_bytes.n == ROUNDS
    assert cells["direct", 200].most_bytes.value == pytest.approx(2 * ANYWAY)


def test_processor_time_is_for_one_upload() -> None:
    cell = found().cells[0]
    assert cell.cpu_s_per_upload.value == pytest.approx(0.008)
    assert cell.cpu_s_by_process["gateway"].value == pytest.approx(0.002)
    assert cell.uploads_per_s.value == pytest.approx(5.0)


def test_each_further_client_takes_a_share_of_its_file() -> None:
    shares = {one.arm: one.share.value for one in found().held}
    assert shares["buffered"] == pytest.approx(2 * 0.4 * MIB / FILE_BYTES)
    assert shares["direct"] == pytest.approx(0.0)


def test_a_process_that_nobody_looked_at_has_no_memory() -> None:
    own = level(10).arms[0]
    blind = period(own, 0)
    peaks: Mapping[str, int] = {"buffered/gateway": 1, "direct/upload": 1}
    made = crowd(arms(), [level(10)], {"crowd-10": [replace(blind, peak_rss_bytes=peaks)]}, {})
    assert made is not None and made.cells[0].most_bytes.value is None


def test_without_turns_there_is_nothing() -> None:
    assert crowd(arms(), [level(10)], {}, {}) is None


def test_the_most_memory_of_an_arm_is_that_of_its_levels() -> None:
    own = level(200)
    periods = {own.name: [period(one, 0) for one in own.arms]}
    planned = switchback.plan(own, arms=tuple(arms()))
    held = {one.arm: one.peak_rss_bytes for one in cost.prices(planned, (), (), periods)}
    assert held["buffered"]["upload"] == ANYWAY + 80 * MIB
    assert held["direct"]["upload"] == ANYWAY


def test_a_period_has_most_and_mean_of_its_looks() -> None:
    own = part(arm("A"))
    world = switchback.World(rates={"A": 10.0})
    stretch = world.play(own, 1)
    begin, end = stretch.counted(0)
    looks = [
        Look(at=at, cpu_s={}, lives={}, rss_bytes={"upload": held}, host_busy_s=0.0)
        for at, held in ((begin, 10), ((begin + end) / 2, 40), (end, 10))
    ]
    first, *_ = Samples(world.uploads, looks).periods(own, world.stretches)
    assert (first.peak_rss_bytes["upload"], first.mean_rss_bytes["upload"]) == (40, 20)


def test_a_line_of_its_own_sets_the_time_of_a_file() -> None:
    assert Link(bandwidth_mbit=2.0).transfer_s(MIB // 2) == pytest.approx(2.097, abs=1e-3)
    assert Link().transfer_s(MIB) == 0


@pytest.mark.parametrize(("rate", "warned"), [(4.5, False), (2.5, True)])
def test_clients_that_waited_for_the_machine_are_a_caution(rate: float, warned: bool) -> None:
    """Ten lines of 4 Mbit/s carry five files of a megabyte in a second."""
    slow = part(arm("slow 10 VU", of="slow", vus=10), name="crowd-10", kind=PartKind.CROWD)
    world = switchback.World(rates={"slow 10 VU": rate})
    world.play(slow, 4)
    planned = switchback.plan(slow, arms=(arm("slow"),), bandwidth_mbit=4.0)
    warnings = analyse(switchback.bundle(world, planned=planned)).warnings
    said = [one.message for one in warnings if one.code == "slower-than-lines"]
    text = "2 uploads/s for slow 10 VU, where the lines of 10 clients allow 5: they waited for the machine as"
    assert said == ([f"{text} well"] if warned else [])


class TestOthers:
    """Ten logins and ten lists a second while ten slow clients upload; 23 of each are due in the counted part
    of a turn. They begin 5 ms late and take 40 ms."""

    def watched(self, blocks: int, *, each: int = 1) -> Result:
        """A block has two turns; only every so many of the requests were begun."""
        slow = part(
            arm("slow 10 VU", of="slow", vus=10), name="crowd-10", kind=PartKind.CROWD,
            login_rate_per_s=10.0, list_rate_per_s=10.0,
        )  # fmt: skip
        world = switchback.World(rates={"slow 10 VU": 4.5})
        stretch = world.play(slow, blocks)
        due = [stretch.t0 + (number + 0.5) / 10 for number in range(0, 30 * len(stretch.order), each)]
        steps = [
            StepSample(
                stretch=stretch.stretch, arm="slow 10 VU", step=step, started_at=at + 0.005, duration_ms=40.0,
                status=200, ok=True, scheduled_at=at,
            )
            for at in due
            for step in ("login", "list")
        ]  # fmt: skip
        planned = switchback.plan(slow, arms=(arm("slow"),), bandwidth_mbit=4.0)
        return told(analyse(switchback.bundle(world, planned=planned, of_steps=steps)))

    def test_what_they_wait_has_its_interval_over_turns(self) -> None:
        made = self.watched(4)
        assert made.crowd is not None
        (cell,) = made.crowd.cells
        assert cell.beside is not None
        assert (cell.beside.arm, cell.beside.failed) == ("slow", {"login": 0, "list": 0})
        for wait in (cell.beside.login_p95, cell.beside.list_p95):
            assert (wait.samples, wait.ms.n) == (8 * 23, 8)
            assert wait.ms.value == pytest.approx(45.0)
        (said,) = [one for one in made.sentences if "logins" in one.text]
        assert said.text == (
            "While 10 slow clients upload, 95 of 100 logins take at most 45.0 ms (45.0 to 45.0) beside "
            "uploads of slow; file lists 45.0 ms (45.0 to 45.0) beside uploads of slow."
        )
        assert (said.evidence, said.kind) == (cell.beside.id, "answer")
        assert said.question is PartKind.CROWD
        assert tables(made)["crowd-others"].rows == (
            ("Slow", "10", "45.0 ms (45.0 to 45.0)", "45.0 ms (45.0 to 45.0)", "0"),
        )
        assert "offered-rate-missed" not in {one.code for one in made.warnings}

    def test_page_and_twin_have_them(self) -> None:
        made = self.watched(4)
        view = view_of(made, make.plan(made), make.manifest(made))
        page, twin = html(view), markdown(view)
        assert 'id="chart-crowd-others"' in page[page.index('id="question-crowd"') :]
        assert 'id="neighbours.slow-10-VU"' in page and 'href="#neighbours.slow-10-VU"' in page
        assert "### Logins and lists beside slow clients" in twin

    def test_too_few_are_not_enough(self) -> None:
        made = self.watched(2)
        (said,) = [one.text for one in made.sentences if "logins" in one.text]
        assert said == (
            "How long others wait beside uploads cannot be said: beside one of the ways only 92 logins in 4 "
            "turns were measured, and it takes 100 in at least 6; PROFILE=full measures longer."
        )
        (row,) = tables(made)["crowd-others"].rows
        assert row[2:4] == ("not enough (92 in 4 turns; it takes 100 in 6)",) * 2
        assert "crowd-others" not in charts(made)

    def test_requests_that_k6_did_not_begin_are_a_caution(self) -> None:
        assert "offered-rate-missed" in {one.code for one in self.watched(4, each=2).warnings}

    def test_nobody_logs_in_without_a_rate(self) -> None:
        assert all(cell.beside is None for cell in found().cells)
        assert "crowd-others" not in tables(result())


class TestDecision:
    """Of 200 clients: 8 ms of CPU, 100 uploads a second; the price's 80 MiB of the gateway."""

    WAYS = ("proxy-single-buffered", "direct-single")

    def decided(self, **of_plan: object) -> Costed | None:
        ways = zip(arms(), self.WAYS, strict=True)
        named = [one.model_copy(update={"strategy": way}) for one, way in ways]
        planned = make.plan(result(), ways=make.ways(named), prices=make.UNIT_PRICES, **of_plan)
        return decision(planned, found(), [make.price(one.name) for one in named])

    def test_it_is_that_of_the_most_clients(self) -> None:
        made = self.decided()
        assert made is not None
        assert (made.clients, made.file_sizes, len(made.ways)) == (200, (FILE_BYTES,), 2)
        million, terabyte = made.costs
        buffered, direct = million.costs
        assert buffered.core_hours.value == pytest.approx(0.008 * 1e6 / 3600)
        assert buffered.memory_gib_hours == pytest.approx(80 / 1024 * 1e6 / 100 / 3600)
        assert buffered.gateway_gb == pytest.approx(1.02 * FILE_BYTES * 1e6 / 1e9)
        assert (buffered.store_requests, direct.store_requests) == (1e6, 2e6), "its client sends one itself"
        assert buffered.statements == 5e6
        assert buffered.money is not None and buffered.money.value is not None
        assert terabyte.costs[0].statements == pytest.approx(5 * 1e12 / FILE_BYTES)

    def test_a_smoke_run_is_too_short(self) -> None:
        assert self.decided(profile="smoke") is None

    def test_the_report_ends_with_it(self) -> None:
        made = result(decision=self.decided())
        view = view_of(made, make.plan(made), make.manifest(made))
        page, twin, out = html(view), markdown(view), StringIO()
        print_result(made, make.plan(made), Path("results"), Console(file=out, width=80))
        assert page.index('id="question-crowd"') < page.index('id="decision"')
        for text in (" ".join(one.split()) for one in (page, twin, out.getvalue())):
            assert "sent by 200 slow" in text
            assert "A million uploads" in text and "what each way makes possible" in text.lower()
        assert "The fastest way by file size" not in twin, "nothing was compared"


class TestWords:
    def test_the_answer_says_file_line_clients_and_every_arm(self) -> None:
        assert result().headline == (
            "While 200 clients at once send files of 512 KiB over lines of 2 Mbit/s each, gateway and upload "
            "together hold at most 260 MiB (260 to 260) for buffered and 100 MiB (100 to 100) for direct."
        )
        said = [one.text for one in result().sentences]
        assert said[1].startswith(
            "In their memory each further client takes 160 % (160 % to 160 %) of its file"
        )
        assert said[1].endswith("and 0 % (0 % to 0 %) of its file for direct.")
        assert "8.00 ms (8.00 to 8.00) for buffered" in said[2]

    def test_a_smoke_run_has_no_figure(self) -> None:
        assert result(profile="smoke").headline.startswith("A smoke run is too short")

    @pytest.mark.parametrize(
        ("own", "decision"), [("buffered", Decision.HOLDS), ("direct", Decision.REFUTED)]
    )
    def test_who_holds_in_memory_what_its_clients_send(self, own: str, decision: Decision) -> None:
        decides = {"metric": "held_share", "arm": own, "least": 0.5}
        claim = Claim.model_validate({"source": "s", "claim": "c", "decides": [decides]})
        made = result()
        (judged,) = judged_claims(make.plan(made, claims=(claim,)), made)
        assert judged.decision is decision
        assert "each further client takes" in judged.conditions[0].text

    def test_page_twin_and_terminal_have_the_same_memory(self) -> None:
        made = result()
        view = view_of(made, make.plan(made), make.manifest(made))
        page, twin, out = html(view), markdown(view), StringIO()
        print_result(made, make.plan(made), Path("results"), Console(file=out, width=80))
        assert 'id="chart-crowd"' in page[: page.index('id="question-crowd"')], "in the first screen"
        assert "Files of 512 KiB, 10 and 200 clients at once, a network of 2 Mbit/s" in page
        table = summary(made)
        assert table is not None and table.columns == ("arm", "10 clients", "200 clients")
        for text in (page, twin, out.getvalue()):
            assert "260 MiB" in text and "100 MiB" in text
        assert [twin.count(one.text) for one in made.sentences] == [1, 1, 1]
        assert twin.index(made.headline) < twin.index("### The arms")
        assert "Which is faster" not in page and "Which is faster" not in twin
        assert len(tables(made)["crowd"].rows) == 4
        for cell in found().cells:
            assert f'id="{cell.id}"' in page
