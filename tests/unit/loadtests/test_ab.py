"""Before anything starts: which arms need stacks, what is told, how much memory there is."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from rich.console import Console

from loadtests.harness.clients.strategies import load_strategies
from loadtests.harness.commands.asking import announce
from loadtests.harness.plan.places import common_link, link_of, needs_stacks, stack_bytes, stacks_of
from loadtests.harness.plan.planning import make_plan
from loadtests.harness.question import load_question
from loadtests.harness.testbeds.network import Link
from loadtests.harness.words import ArmWords, Words, read_ab

pytestmark = pytest.mark.unit

STRATEGIES = load_strategies()
SETTINGS = {"upload": {"FINALISE": "one of"}}


def typed(**words: str) -> Words:
    return read_ab(words, STRATEGIES, {"A": SETTINGS, "B": SETTINGS})


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        ({}, False),
        ({"B": "STRATEGY=direct-single FILE_SIZE=64MiB VUS=2"}, False),
        ({"RTT_MS": "40"}, False),
        ({"TARGET": "http://127.0.0.1:8080"}, False),
        ({"B": "FINALISE=detached"}, True),
        ({"A": "REPLICAS=2"}, True),
        ({"BASE": "main"}, True),
        ({"B": "RTT_MS=40"}, True),
        ({"A": "RTT_MS=40", "B": "RTT_MS=40 VUS=2"}, False),
    ],
)
def test_what_only_the_client_does_runs_on_the_running_testbed(words: dict[str, str], needed: bool) -> None:
    assert needs_stacks(typed(**words)) is needed


@pytest.mark.parametrize(
    ("words", "stacks"),
    [
        ({"B": "VUS=2"}, {"A": "", "B": ""}),
        ({"B": "FINALISE=detached"}, {"A": "A", "B": "B"}),
        ({"A": "FINALISE=detached", "B": "FINALISE=detached VUS=2"}, {"A": "A", "B": "A"}),
        ({"A": "RTT_MS=40", "B": "VUS=2"}, {"A": "A", "B": "B"}),
        ({"A": "RTT_MS=40", "B": "VUS=2", "RTT_MS": "40"}, {"A": "", "B": ""}),
        ({"TARGET": "http://127.0.0.1:8080"}, {"A": "", "B": "B"}),
    ],
)
def test_arms_that_differ_in_the_client_share_a_stack(words: dict[str, str], stacks: dict[str, str]) -> None:
    assert stacks_of(typed(**words)) == stacks


def test_memory_of_stacks_grows_with_their_processes() -> None:
    one, two = typed(A="REPLICAS=1", B="REPLICAS=1 VUS=2"), typed(A="REPLICAS=1", B="REPLICAS=2")
    assert stack_bytes(typed()) == 0 < stack_bytes(one) < stack_bytes(two) / 2


def test_a_network_that_both_arms_have_is_that_of_the_run() -> None:
    assert common_link(typed(A="RTT_MS=40", B="RTT_MS=40 VUS=2")) == Link(40)
    assert common_link(typed(RTT_MS="40", B="VUS=2")) == Link(40)
    assert common_link(typed(RTT_MS="40", B="RTT_MS=0")) is None


def test_an_arm_s_network_goes_before_that_of_the_run() -> None:
    run = ArmWords(rtt_ms=40, bandwidth_mbit=10)
    assert link_of(ArmWords(), run) == link_of(run) == Link(40, 10)
    assert link_of(ArmWords(rtt_ms=0), run) == Link(0, 10)


def test_arms_time_and_disk_are_told() -> None:
    words = typed(PROFILE="smoke", B="STRATEGY=direct-single FILE_SIZE=2MiB VUS=3")
    out = StringIO()
    announce(make_plan("run", load_question("ab"), words, STRATEGIES), Console(file=out, width=200))
    assert out.getvalue().splitlines()[1:3] == [
        "  A: as it is (proxy-chunked, 1,048,576 bytes, 5 VU)",
        "  B: STRATEGY=direct-single, FILE_SIZE=2MiB, VUS=3 (direct-single, 2,097,152 bytes, 3 VU)",
    ]
    assert re.search(r"Profile smoke: about \d+ s; up to 1\.9 GiB of disk at once", out.getvalue())
