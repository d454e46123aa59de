"""A network in toxiproxy's terms."""

from __future__ import annotations

import pytest

from loadtests.harness.testbeds.network import Link

pytestmark = pytest.mark.unit


def delays(link: Link) -> dict[str, int]:
    return {toxic["stream"]: toxic["attributes"]["latency"] for toxic in link.toxics()}


def test_half_of_the_round_trip_each_way_and_no_millisecond_lost() -> None:
    assert delays(Link(rtt_ms=40)) == {"upstream": 20, "downstream": 20}
    assert delays(Link(rtt_ms=25)) == {"upstream": 12, "downstream": 13}
    assert delays(Link(rtt_ms=1)) == {"downstream": 1}


def test_a_link_stands_behind_a_sentence() -> None:
    assert str(Link(rtt_ms=40)) == " over a network of 40 ms round trip"
    assert str(Link(40, 2.5)) == " over a network of 40 ms round trip and 2.50 Mbit/s"


def test_megabits_are_kilobytes_both_ways() -> None:
    toxics = Link(bandwidth_mbit=2).toxics()
    assert [(toxic["type"], toxic["stream"], toxic["attributes"]) for toxic in toxics] == [
        ("bandwidth", "upstream", {"rate": 250}),
        ("bandwidth", "downstream", {"rate": 250}),
    ]


def test_names_of_one_proxy_are_unique() -> None:
    names = [toxic["name"] for toxic in Link(rtt_ms=10, bandwidth_mbit=1).toxics()]
    assert len(set(names)) == len(names) == 4


def test_only_what_the_bandwidth_lets_through_waits_for_its_time() -> None:
    """The other way round toxiproxy would take megabytes of each connection into its memory."""
    kinds = [toxic["type"] for toxic in Link(rtt_ms=10, bandwidth_mbit=1).toxics()]
    assert kinds == ["bandwidth", "bandwidth", "latency", "latency"]


def test_no_link_is_none() -> None:
    assert not Link()
    assert str(Link()) == ""
    assert Link().toxics() == []
