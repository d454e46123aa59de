"""A bundle survives whatever ends the run, and says the same whenever it is read."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from loadtests.harness.records.bundle import Bundle, BundleError, BundleWriter, read_members, whole_lines
from loadtests.harness.records.model import (
    Event,
    LedgerClass,
    LedgerTable,
    MonitorSample,
    Severity,
    StepSample,
    UploadSample,
    Warn,
)

pytestmark = pytest.mark.unit


def upload(trial: str, index: int) -> UploadSample:
    return UploadSample(
        upload_ref=f"{trial}.{index}",
        trial=trial,
        strategy="proxy-chunked",
        user_id="u",
        size_bytes=1,
        sha256="0" * 64,
        intent_at=float(index),
        ledger=LedgerClass.VERIFIED,
    )


def table(trial: str) -> LedgerTable:
    return LedgerTable(
        trial=trial,
        intents=0,
        acks=0,
        classes={},
        flags={},
        hashed=0,
        compared=0,
        baseline_files=0,
        verified_bytes=0,
        stored_bytes=0,
        failed=False,
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    writer = BundleWriter(tmp_path / "run")
    steps = [StepSample(trial="t1", step="login", started_at=1.5, duration_ms=2.0, status=200, ok=True)]
    monitor = [MonitorSample(at=1.0, trial=None, name="host", cpu_cores=0.5)]
    warning = Warn(code="shared-host", severity=Severity.CAUTION, message="two cores")
    writer.append_uploads([upload("t1", 0), upload("t1", 1)])
    writer.append_uploads([upload("t2", 0)])
    writer.append_steps(steps)
    writer.append_monitor(monitor)
    writer.append_events([Event(at=1.0, kind="phase", detail={"name": "settle"})])
    writer.append_ledger(table("t1"))
    writer.write_warnings([warning])
    bundle = Bundle(tmp_path / "run")
    assert bundle.uploads() == (upload("t1", 0), upload("t1", 1), upload("t2", 0))
    assert bundle.uploads("t2") == (upload("t2", 0),)
    assert bundle.uploads("t3") == ()
    assert bundle.steps("t1") == tuple(steps)
    assert bundle.monitor() == tuple(monitor)
    assert bundle.events()[0].detail == {"name": "settle"}
    assert bundle.ledgers() == {"t1": table("t1")}
    assert bundle.warnings() == (warning,)
    assert bundle.trials() == ()


def test_equal_records_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        writer = BundleWriter(tmp_path / name)
        writer.append_uploads([upload("t1", 0)])
        writer.append_uploads([upload("t2", 0)])
        writer.write_json("analysis.json", {"b": 1, "a": [0.1]})
    for file in ("uploads.jsonl.gz", "analysis.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(1, 400))
def test_a_torn_end_loses_only_what_was_torn(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("bundle")
    writer = BundleWriter(folder)
    for index in range(3):
        writer.append_uploads([upload("t1", index)])
        writer.append_ledger(table(f"t{index}"))
    compressed, plain = folder / "uploads.jsonl.gz", folder / "ledger.jsonl"
    whole_uploads, whole_tables = len(compressed.read_bytes()), len(plain.read_bytes())
    for file in (compressed, plain):
        file.write_bytes(file.read_bytes()[:-cut])
    bundle = Bundle(folder)
    uploads, tables = bundle.uploads(), bundle.ledgers()
    assert uploads == tuple(upload("t1", index) for index in range(len(uploads)))
    assert len(uploads) == 2 if cut < whole_uploads // 3 else len(uploads) <= 2
    assert len(tables) == 2 if cut < whole_tables // 3 else len(tables) <= 2


def test_garbage_after_whole_members_is_left_out(tmp_path: Path) -> None:
    BundleWriter(tmp_path).append_uploads([upload("t1", 0)])
    path = tmp_path / "uploads.jsonl.gz"
    path.write_bytes(path.read_bytes() + b"\x00\x01")
    assert len(Bundle(tmp_path).uploads()) == 1
    assert read_members(b"not gzip") == b""
    assert list(whole_lines(b"a\n\nb\nc")) == [b"a", b"b"]


def test_absent_parts_are_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        Bundle(tmp_path / "nothing")
    bundle = Bundle(tmp_path)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        bundle.manifest()
    assert bundle.warnings() == ()
    with pytest.raises(ValueError, match="csv"):
        bundle.k6_path("t1", "csv")


def test_an_unknown_member_is_an_error_not_ignored(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_text('{"trial": "t1", "surprise": 1}\n')
    with pytest.raises(ValidationError, match="surprise"):
        Bundle(tmp_path).ledgers()
