"""The folder that holds everything a run recorded: ``results/<run-id>/``.

Writing never holds data back: every append is one ``write`` to a file opened for appending, synced
before it returns, and whole files are replaced by rename. So a run killed at any moment leaves a
bundle that can be read: at worst the last line, or the last compressed member, is torn, and the
reader drops exactly that.

Compressed files are sequences of gzip members, one for each append, without time stamps: the same
records give the same bytes.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from loadtests.harness.records.model import (
    Event,
    LedgerTable,
    Manifest,
    MonitorSample,
    Plan,
    Record,
    StepSample,
    Trial,
    UploadSample,
    Warn,
)
from loadtests.harness.records.notes import TARGETS, Target

MANIFEST = "manifest.json"
PLAN = "plan.json"
TRIALS = "trials.jsonl"
LEDGER = "ledger.jsonl"
UPLOADS = "uploads.jsonl.gz"
STEPS = "steps.jsonl.gz"
MONITOR = "monitor.jsonl.gz"
EVENTS = "events.jsonl"
WARNINGS = "warnings.json"
K6_FOLDER = "k6"
# k6 console lines and summaries as k6 wrote them, kept beside what was made of them.
K6_SUFFIXES = ("log", "summary.json", "console.jsonl")

RecordT = TypeVar("RecordT", bound=Record)
_WARNINGS = TypeAdapter(tuple[Warn, ...])
_GZIP_WBITS = 31


class BundleError(Exception):
    """A bundle, or a part of it that is asked for, is absent or cannot be read."""


class BundleWriter:
    """Writes one bundle. Holds no open file, so there is nothing to close and nothing to lose."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / K6_FOLDER).mkdir(parents=True, exist_ok=True)

    def write_manifest(self, manifest: Manifest) -> None:
        self._replace(MANIFEST, _pretty(manifest.model_dump(mode="json")))

    def write_plan(self, plan: Plan) -> None:
        self._replace(PLAN, _pretty(plan.model_dump(mode="json")))

    def write_warnings(self, warnings: Iterable[Warn]) -> None:
        self._replace(WARNINGS, _pretty([warning.model_dump(mode="json") for warning in warnings]))

    def write_json(self, name: str, value: Any) -> Path:
        """Write a derived file such as ``analysis.json``: sorted keys, so equal values give equal bytes."""
        self._replace(name, _pretty(value))
        return self.path / name

    def append_trial(self, trial: Trial) -> None:
        self._append(TRIALS, _lines([trial]))

    def append_ledger(self, table: LedgerTable) -> None:
        self._append(LEDGER, _lines([table]))

    def append_events(self, events: Sequence[Event]) -> None:
        self._append(EVENTS, _lines(events))

    def append_uploads(self, samples: Sequence[UploadSample]) -> None:
        self._append_member(UPLOADS, samples)

    def append_steps(self, samples: Sequence[StepSample]) -> None:
        self._append_member(STEPS, samples)

    def append_monitor(self, samples: Sequence[MonitorSample]) -> None:
        self._append_member(MONITOR, samples)

    def k6_path(self, trial: str, suffix: str) -> Path:
        """Where k6's own file of a trial belongs; ``suffix`` is one of ``K6_SUFFIXES``."""
        return k6_path(self.path, trial, suffix)

    def _append_member(self, name: str, records: Sequence[Record]) -> None:
        if records:
            self._append(name, gzip.compress(_lines(records), mtime=0))

    def _append(self, name: str, data: bytes) -> None:
        if not data:
            return
        with (self.path / name).open("ab", buffering=0) as file:
            _write_all(file.fileno(), data)
            os.fsync(file.fileno())

    def _replace(self, name: str, text: str) -> None:
        target = self.path / name
        draft = target.with_name(f".{name}.{os.getpid()}")
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)


class Bundle:
    """Reads one bundle; needs nothing but the folder. What was read once is kept in memory."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise BundleError(f"{path} is not a bundle: there is no such folder")
        self.path = path

    def manifest(self) -> Manifest:
        return Manifest.model_validate_json(self._whole(MANIFEST))

    def plan(self) -> Plan:
        return Plan.model_validate_json(self._whole(PLAN))

    def warnings(self) -> tuple[Warn, ...]:
        """Warnings of the whole run; empty while the run has not written them."""
        path = self.path / WARNINGS
        return _WARNINGS.validate_json(path.read_bytes()) if path.exists() else ()

    def trials(self) -> tuple[Trial, ...]:
        """Trials in the order actually run."""
        return tuple(self._records(TRIALS, Trial))

    def ledgers(self) -> dict[str, LedgerTable]:
        """Ledger tables by trial, in the order run."""
        return {table.trial: table for table in self._records(LEDGER, LedgerTable)}

    def targets(self) -> tuple[Target, ...]:
        """The benchmark's table; empty for every other run."""
        path = self.path / TARGETS
        return tuple(map(Target.model_validate, json.loads(path.read_bytes()))) if path.exists() else ()

    def events(self) -> tuple[Event, ...]:
        return tuple(self._records(EVENTS, Event))

    def uploads(self, trial: str | None = None) -> tuple[UploadSample, ...]:
        """Upload samples of one trial, or of all."""
        return _select(self._uploads, trial)

    def steps(self, trial: str | None = None) -> tuple[StepSample, ...]:
        return _select(self._steps, trial)

    def monitor(self, trial: str | None = None) -> tuple[MonitorSample, ...]:
        """One-second samples of one trial, or of all, those between trials included."""
        return _select(self._monitor, trial)

    def k6_path(self, trial: str, suffix: str) -> Path:
        return k6_path(self.path, trial, suffix)

    @cached_property
    def _uploads(self) -> tuple[UploadSample, ...]:
        return tuple(self._records(UPLOADS, UploadSample))

    @cached_property
    def _steps(self) -> tuple[StepSample, ...]:
        return tuple(self._records(STEPS, StepSample))

    @cached_property
    def _monitor(self) -> tuple[MonitorSample, ...]:
        return tuple(self._records(MONITOR, MonitorSample))

    def _whole(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError as error:
            raise BundleError(f"{self.path} holds no {name}: the run ended before writing it") from error

    def _records(self, name: str, kind: type[RecordT]) -> Iterator[RecordT]:
        path = self.path / name
        if not path.exists():
            return
        data = path.read_bytes()
        for line in whole_lines(read_members(data) if name.endswith(".gz") else data):
            yield kind.model_validate_json(line)


def k6_path(bundle: Path, trial: str, suffix: str) -> Path:
    if suffix not in K6_SUFFIXES:
        raise ValueError(f"k6 leaves no file {suffix!r}; known are {', '.join(K6_SUFFIXES)}")
    return bundle / K6_FOLDER / f"{trial}.{suffix}"


def whole_lines(data: bytes) -> Iterator[bytes]:
    """Every line that was written to its end; a torn last line is left out."""
    end = data.rfind(b"\n") + 1
    return (line for line in data[:end].splitlines() if line)


def read_members(data: bytes) -> bytes:
    """The content of all whole gzip members; a member torn by a kill is left out."""
    parts: list[bytes] = []
    rest = data
    while rest:
        member = zlib.decompressobj(wbits=_GZIP_WBITS)
        try:
            content = member.decompress(rest)
        except zlib.error:
            break
        if not member.eof:
            break
        parts.append(content)
        rest = member.unused_data
    return b"".join(parts)


def _lines(records: Sequence[Record]) -> bytes:
    return b"".join(record.model_dump_json().encode() + b"\n" for record in records)


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


_Sample = TypeVar("_Sample", UploadSample, StepSample, MonitorSample)


def _select(records: tuple[_Sample, ...], trial: str | None) -> tuple[_Sample, ...]:
    return records if trial is None else tuple(record for record in records if record.trial == trial)
