"""What set the number: named with evidence, and otherwise not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from loadtests.harness.analysis.facts import Facts, read_facts
from loadtests.harness.analysis.limits import limits
from loadtests.harness.records.result import Limit
from loadtests.harness.records.vocabulary import LedgerClass
from tests.unit.loadtests.switchback import World, arm, bundle, manifest, part, upload

pytestmark = pytest.mark.unit

PAIR = part(arm("A"), arm("B"))


def facts(world: World, host: Mapping[str, float] | None = None, **notes: object) -> Facts:
    made = bundle(world, PAIR)
    made.of_manifest = manifest(host=host or {"cores": 4, "memory_bytes": 8e9}, notes=notes, k6_cores=2.0)
    return read_facts(made)


def limit(world: World, host: Mapping[str, float] | None = None, **notes: object) -> Limit:
    """Of arm A."""
    return limits(facts(world, host, **notes))[0]


def world(cores: Mapping[str, float] | None = None) -> World:
    made = World(rates={"A": 40.0, "B": 40.0}, idle_cpu=cores or {})
    made.play(PAIR, 4)
    return made


def test_without_evidence_nothing_is_named() -> None:
    found = limit(world())
    assert (found.what, found.evidence, found.arm, found.part) == (None, None, "A", "compare")


def test_all_processors() -> None:
    found = limit(world({"minio": 3.4}))
    assert found.what == "all processors"
    assert found.evidence == "4.0 of 4 cores were busy"


def test_all_processors_but_not_all_with_ours() -> None:
    made = world({"minio": 2.0})
    made.looks = [
        look.model_copy(update={"host_busy_s": look.host_busy_s + look.at * 1.4}) for look in made.looks
    ]
    assert limit(made).evidence == "4.0 of 4 cores were busy, 1.4 of them with other programs"


def test_one_core_while_others_idle() -> None:
    found = limit(world({"gateway": 0.8}))
    assert found.what == "one core of gateway"
    assert found.evidence and found.evidence.startswith("gateway used 96 % of one core while 2.6 cores")
    assert found.advice and "WORKERS=" in found.advice


def test_one_core_is_no_limit_of_what_has_many_threads() -> None:
    assert limit(world({"minio": 1.5})).what is None


def test_the_load_generator_by_its_cores() -> None:
    found = limit(world({"k6": 1.6}))
    assert (found.what, found.evidence) == (
        "the load generator",
        "k6 used 1.7 of the 2 cores that it may use",
    )


def test_the_load_generator_by_its_own_ceiling() -> None:
    ceiling = {"file_size_bytes": 1_000_000, "uploads_per_s": 60.0, "floor_ms": 1.0}
    found = limit(world(), generator={"proxy-chunked": ceiling})
    assert (found.what, found.evidence) == ("the load generator", "40 uploads/s; k6 by itself does 60")
    assert limit(world(), generator={"proxy-chunked": {**ceiling, "uploads_per_s": 100.0}}).what is None


def test_the_rate_limiter() -> None:
    made = world()
    stretch = made.stretches[0]
    at = stretch.t0 + stretch.order.index("A") * 3.0 + 1.0
    made.uploads += [
        upload(
            stretch,
            "A",
            at,
            at,
            ledger=LedgerClass.CLEAN_FAILURE,
            acked_at=None,
            durable_at=None,
            failed_at=at,
            failed_status=429,
        )
        for _ in range(20)
    ]
    found = limit(made)
    assert found.what == "the rate limiter"
    assert found.evidence and found.evidence.startswith("20 of ")


def test_memory() -> None:
    found = limit(world(), {"cores": 4, "memory_bytes": 4e8})
    assert (found.what, found.evidence) == ("memory", "the processes held 0.5 of 0.4 GB")


def test_the_database_pool() -> None:
    made = world()
    made.looks = [look.model_copy(update={"pool_waiting": {"upload": 3.0}}) for look in made.looks]
    found = limit(made)
    assert found.what == "the database pool of upload"
    assert found.evidence == "3.0 requests of upload waited for a database connection at any time"
