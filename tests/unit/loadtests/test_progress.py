"""What a person reads while a run goes on."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from loadtests.harness.k6.tally import Ack, Tally, rates_per_s
from loadtests.harness.records.plan import Arm, Part, PartKind, Stretch
from loadtests.harness.running.progress import Progress, SoFar, minutes

pytestmark = pytest.mark.unit

NAMES = ("proxy-chunked", "direct-multipart", "direct-single")


def part(kind: PartKind = PartKind.COMPARE) -> Part:
    arms = tuple(
        Arm(
            name=one,
            of=one,
            title=one,
            colour="#000000",
            strategy=one,
            file_size_bytes=1,
            piece_bytes=1,
            vus=1,
        )
        for one in NAMES
    )
    return Part(
        name="compare", kind=kind, arms=arms, period_s=2.0, washout_s=0.5, first_blocks=2, most_blocks=8
    )


def stretch(blocks: int = 1) -> Stretch:
    order = (*NAMES, *NAMES[::-1]) * blocks
    numbers = tuple(at for at in range(blocks) for _ in range(6))
    return Stretch(
        stretch="s001", part="compare", t0=1000.0, period_s=2.0, washout_s=0.5, order=order, blocks=numbers
    )


def test_an_upload_counts_in_its_own_arms_turn_by_the_share_inside() -> None:
    acks = [
        Ack(0, 1000.5, 1001.0),  # whole
        Ack(0, 1000.0, 1001.0),  # half of it in the washout
        Ack(0, 1001.5, 1002.5),  # half of it after the switch
        Ack(0, 1002.1, 1002.2),  # of the first arm, in the turn of the second
        Ack(1, 1003.0, 1003.1),
        Ack(1, 999.0, 999.5),  # before all
    ]
    rates = rates_per_s(stretch(), NAMES, acks)
    assert rates[0] == pytest.approx(2.0 / 1.5)
    assert rates[1] == pytest.approx(1.0 / 1.5)
    assert rates[2:] == [0.0] * 4


def test_the_tally_follows_one_stretch_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "console.jsonl"

    def line(s: int, *, ok: bool = True) -> str:
        return (
            json.dumps(
                {"e": "o", "s": s, "a": 1, "ok": ok, "t0": 1000, "t3": 2000}
                | ({} if ok else {"step": "put", "st": 507, "code": "XMinioStorageFull"}),
                separators=(",", ":"),
            )
            + "\n"
        )

    path.write_text(line(1) + line(1, ok=False) + '{"e":"i","s":1}\n' + line(2) + '{"e":"o","s":2')
    tally = Tally(path)
    assert tally.read(1) == [Ack(1, 1.0, 2.0)]
    assert tally.failures == {"put answered 507 XMinioStorageFull": 1}
    assert tally.read(2) == [Ack(1, 1.0, 2.0)]
    assert tally.read(1) == []


def test_the_ratio_so_far_has_an_interval_from_three_blocks_on() -> None:
    so_far = SoFar(NAMES)
    so_far.add(stretch(), [10.0, 11.0, 0.0, 0.0, 11.0, 10.0])
    ratio, half = so_far.ratio("direct-multipart")
    assert ratio == pytest.approx(1.1)
    assert half is None
    many = SoFar(NAMES)
    many.add(stretch(3), [rate for d in (11, 12, 13) for rate in (10.0, d, 5.0, 5.0, d, 10.0)])
    ratio, half = many.ratio("direct-multipart")
    assert ratio == pytest.approx((1.1 * 1.2 * 1.3) ** (1 / 3))
    assert half == pytest.approx(0.2078, abs=1e-3)  # t(0.975, 2) * s / sqrt(3) of the logs
    assert many.rate_per_s("direct-single") == 5.0


class Clock:
    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def shown(width: int, *, terminal: bool = False, clock: Clock | None = None) -> tuple[Progress, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal)
    return Progress(console, clock=clock or Clock(1001.0)), out


def test_one_line_says_where_the_run_is() -> None:
    progress, out = shown(160)
    progress.left({"compare": 100.0, "levels": 60.0}, 4.0)
    progress.part(part(), 2, first_stage=True)
    played = stretch(1)
    progress.playing(played, 1)
    assert "Which is faster?  block 1 of 2 or more" in progress.text(wide=True)
    progress.phase("auditing")
    progress.played(played, [10.0, 11.0, 12.0, 12.0, 11.0, 10.0])
    said = out.getvalue()
    for words in ("direct-multipart/proxy-chunked 1.10", "direct-single/proxy-chunked 1.20",
                  "proxy-chunked 10/s, direct-multipart 11/s", "about 110 s left"):  # fmt: skip
        assert words in said
    progress.part(part(), 5, first_stage=False)
    assert "block 1 of 5  " in progress.text(wide=True)
    assert "about 4 min left" in progress.text(wide=True), "four blocks of 50 s, and the levels"


def test_a_narrow_terminal_gets_a_line_that_fits(tmp_path: Path) -> None:
    progress, _ = shown(80, terminal=True)
    progress.follow(Tally(tmp_path / "none"))
    progress.part(part(), 8, first_stage=False)
    progress.left({"compare": 100.0}, 4.0)
    progress.played(stretch(3), [rate for _ in range(3) for rate in (10.0, 11.0, 12.0, 12.0, 11.0, 10.0)])
    progress.playing(stretch(3), 1)
    text = progress.text(wide=False)
    assert "1.10 (1.10 to 1.10), 1.20 (1.20 to 1.20)" in text
    assert "proxy-chunked 0/s" in text


def left_s(progress: Progress) -> int:
    return int(progress.text(wide=True).partition("about ")[2].partition(" s left")[0])


def test_turns_that_were_played_count_once() -> None:
    """Two stretches of one part: when the first has ended, the second is still to come."""
    clock = Clock(1000.0)
    progress, out = shown(160, clock=clock)
    progress.left({"compare": 100.0}, 4.0)
    progress.part(part(PartKind.FLEET), 4, first_stage=False)  # rounds of three turns of 2 s
    rates = [10.0] * 6
    progress.playing(stretch(1), 1)  # two rounds at once
    clock.at = 1012.0
    progress.played(stretch(1), rates)
    assert "about 100 s left" in out.getvalue(), "6 of 12 turns, where the first stage has 6"
    assert left_s(progress) == 100
    progress.playing(stretch(1).model_copy(update={"t0": 1020.0}), 2)
    clock.at = 1026.0
    assert left_s(progress) == 50


@pytest.mark.parametrize("kind", [PartKind.CROWD, PartKind.FLEET, PartKind.KILL, PartKind.COMPARE])
def test_while_something_is_still_to_come_it_takes_time(kind: PartKind) -> None:
    """After the last turn slow clients end what they began, and the audit looks at it."""
    clock = Clock(1000.0)
    progress, _ = shown(160, clock=clock)
    first, second = part(kind), part(kind).model_copy(update={"name": "more clients"})
    progress.left({"compare": 100.0, "more clients": 70.0}, 6.0)
    progress.part(first, 2, first_stage=False)
    progress.playing(stretch(2), 1)
    clock.at = 1500.0
    assert left_s(progress) == 76
    progress.left({"more clients": 70.0}, 6.0)
    progress.part(second, 2, first_stage=False)
    assert left_s(progress) == 70
    progress.playing(stretch(2).model_copy(update={"part": "more clients", "t0": 1600.0}), 2)
    clock.at = 2000.0
    assert left_s(progress) == 6
    progress.phase("auditing")
    progress.left({}, 0.0)
    assert left_s(progress) == 1


def test_a_run_that_is_asked_to_end_does_not_count_down() -> None:
    progress = Progress(Console(file=io.StringIO(), width=160), stopping=lambda: True, clock=Clock(1001.0))
    progress.left({"compare": 100.0}, 4.0)
    progress.part(part(), 2, first_stage=True)
    assert progress.text(wide=True).endswith("stopping")


def test_durations_are_said_as_people_do() -> None:
    assert minutes(90) == "90 s"
    assert minutes(200) == "3 min"
