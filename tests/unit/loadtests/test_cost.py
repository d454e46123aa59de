"""What an upload costs: whose processor time it is, and what the services counted."""

from __future__ import annotations

import pytest

from loadtests.harness import cost
from loadtests.harness.comparison import compare, rule_of
from loadtests.harness.periods import Block, Samples, units_of, whole_blocks
from loadtests.harness.records.plan import Part, PartKind
from loadtests.harness.records.samples import Counted
from tests.unit.loadtests.switchback import BESIDE, OURS, World, arm, part, plan

pytestmark = pytest.mark.unit


def blocks(world: World, own: Part) -> tuple[Block, ...]:
    return whole_blocks(Samples(world.uploads, world.looks).periods(own, world.stretches), world.stretches)


class TestCpu:
    def test_ours_are_services_and_their_databases(self) -> None:
        own = part(arm("A"), arm("B"))
        world = World(
            rates={"A": 40.0, "B": 40.0}, costs={"B": {**OURS, **BESIDE, "gateway": 0.008}}, noise=0.05
        )
        world.play(own, 8)
        a, b = (
            cost.cpu_per_upload(units_of(blocks(world, own), one.name, replicated=False), one)
            for one in own.arms
        )
        assert a.value == pytest.approx(0.010, rel=0.02)
        assert b.value == pytest.approx(0.014, rel=0.02)
        assert a.n == 8 and a.low is not None and a.low < 0.0101

    def test_processes_and_the_rest_add_up_to_the_host(self) -> None:
        own = part(arm("A"), arm("B"))
        world = World(rates={"A": 40.0, "B": 40.0}, idle_cpu={"rest of it": 0.1})
        world.play(own, 4)
        found = cost.cpu_by_process(units_of(blocks(world, own), "A", replicated=False), own.arms[0])
        assert list(found)[:3] == ["gateway", "upload", "files"]
        busy = 0.010 + sum(BESIDE.values()) + 0.1 / 40
        assert sum(one.value or 0.0 for one in found.values()) == pytest.approx(busy, rel=0.02)
        assert found["rest"].value == pytest.approx(0.0, abs=1e-6)

    def test_replicas_count_together(self) -> None:
        own = part(arm("A"), arm("B"))
        spread = {**OURS, **BESIDE, "upload": 0.001, "upload-2": 0.002}
        world = World(rates={"A": 40.0, "B": 40.0}, costs={"A": spread})
        world.play(own, 4)
        units = units_of(blocks(world, own), "A", replicated=False)
        assert cost.cpu_per_upload(units, own.arms[0], "upload").value == pytest.approx(0.003, rel=0.02)
        assert cost.cpu_per_upload(units, own.arms[0]).value == pytest.approx(0.010, rel=0.02)

    def test_each_stack_belongs_to_its_arm_and_the_databases_to_whose_turn_it_is(self) -> None:
        own = part(arm("A", stack="a"), arm("B", stack="b"))
        shared = {"pg-upload": 0.001, "pg-files": 0.001, "minio": 0.003, "k6": 0.002}
        stacks = {
            name: {f"{name.lower()}/{process}": used for process, used in OURS.items() if "pg" not in process}
            for name in "AB"
        }
        costs = {name: {**stacks[name], **shared} for name in "AB"}
        costs["B"]["b/upload"] = 0.005
        world = World(rates={"A": 40.0, "B": 40.0}, costs=costs, idle_cpu={"a/gateway": 0.02})
        world.play(own, 4)
        a, b = own.arms
        in_a, in_b = (units_of(blocks(world, own), one.name, replicated=False) for one in own.arms)
        assert cost.cpu_per_upload(in_a, a).value == pytest.approx(0.010 + 0.02 / 40, rel=0.02)
        assert cost.cpu_per_upload(in_b, b).value == pytest.approx(0.012, rel=0.02)
        assert cost.cpu_per_upload(in_b, b, cost.IDLE_STACK).value == pytest.approx(0.02 / 40, rel=0.02)

    def test_a_service_that_nobody_watched_leaves_no_price(self) -> None:
        own = part(arm("A"), arm("B"))
        world = World(rates={"A": 40.0, "B": 40.0}, costs={"A": {"k6": 0.001}, "B": {"k6": 0.001}})
        world.play(own, 4)
        units = units_of(blocks(world, own), "A", replicated=False)
        assert cost.cpu_per_upload(units, own.arms[0]).value is None
        assert cost.cpu_per_upload(units, own.arms[0], "k6").value == pytest.approx(0.001, rel=0.02)

    def test_of_another_implementation_every_process_of_its_stack_is_ours(self) -> None:
        other = arm("B", stack="b", target="http://127.0.0.1:1")
        assert cost.shown_name("b/server", other) == ("server", True)
        assert cost.shown_name("b/auth", other) == ("auth", False)
        assert cost.shown_name("gateway", other) == (cost.IDLE_STACK, False)
        assert cost.shown_name("pg-upload", other) == (cost.IDLE_STACK, False)
        assert cost.shown_name("minio", other) == (cost.IDLE_STACK, False)
        assert cost.shown_name("b/pg-upload", other) == ("pg-upload", True)
        assert cost.shown_name("k6", other) == ("k6", False)
        assert cost.shown_name("exporter-pg", other) == (cost.EXPORTERS, False)

    def test_another_implementation_s_processes_are_never_ours(self) -> None:
        assert cost.shown_name("b/pg-upload", arm("A")) == (cost.IDLE_STACK, False)
        assert cost.shown_name("b/server", arm("A")) == (cost.IDLE_STACK, False)

    def test_without_named_processes_another_implementation_has_no_price(self) -> None:
        own = part(arm("A"), arm("B", stack="b", target="http://127.0.0.1:1"))
        world = World(rates={"A": 40.0, "B": 40.0}, costs={"A": {**OURS, **BESIDE}, "B": {"k6": 0.001}})
        world.play(own, 4)
        a, b = own.arms
        in_a, in_b = (units_of(blocks(world, own), one.name, replicated=False) for one in own.arms)
        assert cost.cpu_per_upload(in_a, a).value == pytest.approx(0.010, rel=0.02)
        assert cost.cpu_per_upload(in_b, b).value is None


@pytest.mark.parametrize(
    ("watched", "shown"),
    [
        ("pg-upload", ("pg-upload", True)),
        ("minio", ("minio", False)),
        ("pg-auth", ("pg-auth", False)),
        ("pg-files", (cost.IDLE_STACK, False)),  # B's own stack has one
        ("a/pg-upload", (cost.IDLE_STACK, False)),
        ("a/upload", (cost.IDLE_STACK, False)),
        ("upload", (cost.IDLE_STACK, False)),
        ("b/pgbouncer", ("pgbouncer", True)),
        ("k6", ("k6", False)),
    ],
)
def test_whose_a_process_is_in_the_turn_of_stack_b(watched: str, shown: tuple[str, bool]) -> None:
    assert cost.shown_name(watched, arm("B", stack="b"), {"b/pg-files"}) == shown


def test_the_report_has_one_figure_of_cpu_per_upload() -> None:
    """The comparison's arm, the function behind it and the sum of its processes agree."""
    own = part(arm("A"), arm("B"))
    world = World(rates={"A": 40.0, "B": 50.0}, noise=0.1)
    world.play(own, 8)
    found = compare(own, own.arms, blocks(world, own), rule_of(plan(own), own)).arms[0]
    units = units_of(blocks(world, own), "A", replicated=False)
    assert found.cpu_s_per_upload == cost.cpu_per_upload(units, own.arms[0])
    by_process = sum(found.cpu_s_by_process[name].value or 0.0 for name in OURS)
    assert found.cpu_s_per_upload.value == pytest.approx(by_process)


class TestPieces:
    def counted(self, stretch: str, uploads: dict[str, int], statements: float) -> Counted:
        return Counted(
            stack="",
            stretches=(stretch,),
            uploads=uploads,
            statements={"upload_db": statements, "auth_db": 9999.0},
            store_requests={"PUT": 2.0 * sum(uploads.values())},
        )

    def price(self, *counted: Counted) -> list[float | None]:
        a, b = arm("A"), arm("B")
        more = arm("A 12 VU", of="A", vus=12)
        own, other = part(a, b), part(a, more, name="levels", kind=PartKind.LEVELS)
        world = World(rates={"A": 10.0, "B": 10.0})
        world.play(own, 1)
        world.play(other, 1)
        found = cost.prices(plan(own, other), world.stretches, counted, {})
        return [price.statements for price in found]

    def test_pieces_with_different_shares_tell_the_arms_apart(self) -> None:
        mixed = self.counted("s001", {"A": 100, "B": 200}, 100 * 6 + 200 * 9)
        alone = self.counted("s002", {"A": 50, "A 12 VU": 70}, 120 * 6)
        assert self.price(mixed, alone) == pytest.approx([6.0, 9.0])

    def test_pieces_with_a_kill_are_left_out(self) -> None:
        """Uploads that failed in the middle have passed the gateway too."""
        own = part(arm("A"), arm("B"))
        killed = part(arm("A with a kill", of="A"), name="kill", kind=PartKind.KILL)
        world = World(rates={"A": 10.0, "B": 10.0})
        world.play(own, 1)
        world.play(killed, 1)
        piece = self.counted("s002", {"A with a kill": 90}, 900).model_copy(update={"gateway_bytes_in": 1e9})
        found = cost.prices(plan(own, killed), world.stretches, [piece], {})
        assert [(price.statements, price.gateway_bytes_in) for price in found] == [(None, None)] * 2

    def test_one_mixed_piece_tells_nothing(self) -> None:
        assert self.price(self.counted("s001", {"A": 100, "B": 200}, 2400)) == [None, None]

    def test_pieces_of_nearly_equal_shares_tell_nothing(self) -> None:
        first = self.counted("s001", {"A": 1000, "B": 2000}, 24_000)
        again = self.counted("s001", {"A": 1001, "B": 1999}, 24_000)
        assert self.price(first, again) == [None, None]
