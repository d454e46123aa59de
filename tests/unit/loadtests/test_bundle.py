"""A bundle survives whatever ends the run, and says the same whenever it is read."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.harness.records.bundle import Bundle, BundleError, BundleWriter, whole_lines, whole_members
from loadtests.harness.records.plan import Stretch
from loadtests.harness.records.samples import (
    Counted,
    Event,
    LedgerTable,
    LoadSummary,
    Look,
    StepSample,
    UploadSample,
    Warn,
)
from loadtests.harness.records.vocabulary import LedgerClass, Severity

pytestmark = pytest.mark.unit


def upload(index: int) -> UploadSample:
    return UploadSample(
        upload_ref=f"run.{index}",
        stretch="s001",
        arm="proxy-chunked",
        user_id="u",
        size_bytes=1,
        intent_at=float(index),
        ledger=LedgerClass.VERIFIED,
    )


def table(number: int) -> LedgerTable:
    return LedgerTable(
        audit=number,
        stack="",
        stretches=("s001",),
        intents=0,
        acks=0,
        classes={},
        by_arm={},
        by_user={},
        flags={},
        hashed=0,
        compared=0,
        baseline_files=0,
        verified_bytes=0,
        stored_bytes=0,
        failed=False,
    )


def stretch(name: str, cut_at: float | None = None) -> Stretch:
    return Stretch(
        stretch=name, part="compare", t0=1.0, period_s=3.0, washout_s=0.7, order=("a",), blocks=(0,),
        cut_at=cut_at,
    )  # fmt: skip


def test_what_is_written_is_read(tmp_path: Path) -> None:
    writer = BundleWriter(tmp_path / "run")
    step = StepSample(
        stretch="s001", arm="a", step="login", started_at=1.5, duration_ms=2.0, status=200, ok=True
    )
    look = Look(at=1.0, cpu_s={"k6": 0.5}, lives={"k6": 7}, rss_bytes={"k6": 9}, host_busy_s=2.0)
    counted = Counted(
        stack="", stretches=("s001",), uploads={"a": 2}, statements={"files_db": 3.0}, store_requests={}
    )
    warning = Warn(code="shared-host", severity=Severity.CAUTION, message="two cores")
    writer.append_uploads([upload(0), upload(1)])
    writer.append_uploads([upload(2)])
    writer.append_steps([step])
    writer.append_looks([look])
    writer.append_events([Event(at=1.0, kind="audit", detail={"bytes": 3})])
    writer.append_ledger(table(0))
    writer.append_counted([counted])
    writer.write_warnings([warning])
    writer.write_load(LoadSummary(exit_code=0, requests=5))
    bundle = Bundle(tmp_path / "run")
    assert bundle.uploads() == (upload(0), upload(1), upload(2))
    assert bundle.steps() == (step,)
    assert bundle.looks() == (look,)
    assert bundle.events()[0].detail == {"bytes": 3}
    assert bundle.ledgers() == (table(0),)
    assert bundle.counted() == (counted,)
    assert bundle.warnings() == (warning,)
    assert bundle.load() == LoadSummary(exit_code=0, requests=5)
    assert bundle.stretches() == ()


def test_a_stretch_is_what_was_said_of_it_last(tmp_path: Path) -> None:
    writer = BundleWriter(tmp_path)
    for said in (stretch("s001"), stretch("s002"), stretch("s002", cut_at=2.5)):
        writer.append_stretch(said)
    assert Bundle(tmp_path).stretches() == (stretch("s001"), stretch("s002", cut_at=2.5))


def test_what_is_written_later_is_read_too(tmp_path: Path) -> None:
    """The run itself asks a bundle that it goes on writing."""
    writer, bundle = BundleWriter(tmp_path), Bundle(tmp_path)
    writer.append_uploads([upload(0)])
    assert len(bundle.uploads()) == 1
    writer.append_uploads([upload(1)])
    assert len(bundle.uploads()) == 2


def test_equal_records_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        writer = BundleWriter(tmp_path / name)
        writer.append_uploads([upload(0)])
        writer.append_uploads([upload(1)])
        writer.write_json("analysis.json", {"b": 1, "a": [0.1]})
    for file in ("uploads.jsonl.gz", "analysis.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@settings(max_examples=60)
@given(cut=st.integers(1, 400))
def test_a_torn_end_loses_only_what_was_torn(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("bundle")
    writer = BundleWriter(folder)
    for index in range(3):
        writer.append_uploads([upload(index)])
        writer.append_ledger(table(index))
    compressed, plain = folder / "uploads.jsonl.gz", folder / "ledger.jsonl"
    whole_uploads, whole_tables = len(compressed.read_bytes()), len(plain.read_bytes())
    for file in (compressed, plain):
        file.write_bytes(file.read_bytes()[:-cut])
    uploads, tables = Bundle(folder).uploads(), Bundle(folder).ledgers()
    assert uploads == tuple(upload(index) for index in range(len(uploads)))
    assert len(uploads) == 2 if cut < whole_uploads // 3 else len(uploads) <= 2
    assert len(tables) == 2 if cut < whole_tables // 3 else len(tables) <= 2


def test_garbage_after_whole_members_is_left_out(tmp_path: Path) -> None:
    BundleWriter(tmp_path).append_uploads([upload(0)])
    path = tmp_path / "uploads.jsonl.gz"
    path.write_bytes(path.read_bytes() + b"\x00\x01")
    assert len(Bundle(tmp_path).uploads()) == 1
    assert whole_members(b"not gzip") == (b"", b"not gzip")
    assert whole_lines(b"a\n\nb\nc") == (b"a\n\nb\n", b"c")


def test_absent_parts_are_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        Bundle(tmp_path / "nothing")
    bundle = Bundle(tmp_path)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        bundle.manifest()
    assert bundle.load() is None
    assert bundle.warnings() == ()


def test_an_unknown_member_is_an_error_not_ignored(tmp_path: Path) -> None:
    BundleWriter(tmp_path).append_ledger(table(0))
    path = tmp_path / "ledger.jsonl"
    line = path.read_text()
    path.write_text(line + line.replace('"audit"', '"surprise":1,"audit"'))
    with pytest.raises(BundleError, match=r"ledger\.jsonl, line 2, .*another version .*\(surprise: "):
        Bundle(tmp_path).ledgers()


def test_what_is_no_json_is_told_in_a_sentence(tmp_path: Path) -> None:
    for name, read in (("manifest.json", Bundle.manifest), ("load.json", Bundle.load),
                       ("warnings.json", Bundle.warnings), ("events.jsonl", Bundle.events)):  # fmt: skip
        (tmp_path / name).write_bytes(b"\xff nonsense\n")
        with pytest.raises(BundleError, match=rf"{name}.* is damaged: Invalid JSON"):
            read(Bundle(tmp_path))


def test_a_full_disk_is_named_and_leaves_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    writer = BundleWriter(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"warnings\.json"):
        writer.write_warnings([])
    with pytest.raises(OSError, match=r"ledger\.jsonl"):
        writer.append_ledger(table(0))
    assert {path.name for path in tmp_path.iterdir()} == {"k6", "ledger.jsonl"}
