"""The folder that holds everything a run recorded: ``results/<run-id>/``.

Writing never holds data back: every append is one ``write`` to a file opened for appending, synced
before it returns, and whole files are replaced by rename. So a run killed at any moment leaves a
bundle that can be read: at worst the last line, or the last compressed member, is torn, and the
reader drops exactly that. A run that came to its end leaves nothing torn: there it is an error.

Compressed files are sequences of gzip members, one for each append, without time stamps: the same
records give the same bytes.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from loadtests.harness.records.base import Record
from loadtests.harness.records.plan import Plan, Stretch
from loadtests.harness.records.samples import (
    Counted,
    Event,
    LedgerTable,
    LoadSummary,
    Look,
    Manifest,
    StepSample,
    UploadSample,
    Warn,
)

MANIFEST = "manifest.json"
PLAN = "plan.json"
STRETCHES = "stretches.jsonl"
UPLOADS = "uploads.jsonl.gz"
STEPS = "steps.jsonl.gz"
LOOKS = "looks.jsonl.gz"
LEDGER = "ledger.jsonl"
COUNTED = "counted.jsonl"
EVENTS = "events.jsonl"
WARNINGS = "warnings.json"
LOAD = "load.json"
K6_FOLDER = "k6"  # its log and console lines, kept beside what was made of them
APPENDED = (STRETCHES, UPLOADS, STEPS, LOOKS, LEDGER, COUNTED, EVENTS)
OF_EVERY_END = (STRETCHES, WARNINGS)  # however a run ended, unless it was killed
OF_A_WHOLE_RUN = (*OF_EVERY_END, UPLOADS, LOOKS, LEDGER, COUNTED, EVENTS)

RecordT = TypeVar("RecordT", bound=Record)
_WARNINGS = TypeAdapter(tuple[Warn, ...])
_GZIP_WBITS = 31


class BundleError(Exception):
    """A bundle, or a part of it that is asked for, is absent or cannot be read."""


def unreadable(where: object, error: ValidationError) -> BundleError:
    """One sentence about a file of a bundle, or a line of one, that is none of our records."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return BundleError(f"{where} is damaged: {first['msg']}")
    member = ".".join(map(str, first["loc"]))
    return BundleError(
        f"{where} cannot be read; another version of the harness made it ({member}: {first['msg']})"
    )


class BundleWriter:
    """Writes one bundle. Holds no open file, so there is nothing to close and nothing to lose."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.k6_folder.mkdir(parents=True, exist_ok=True)

    @property
    def k6_folder(self) -> Path:
        return self.path / K6_FOLDER

    @property
    def begun(self) -> bool:
        """Whether any load was asked for."""
        return (self.path / STRETCHES).exists()

    def remove(self) -> None:
        """Take the folder away: for a run that ended before any load."""
        shutil.rmtree(self.path, ignore_errors=True)

    def write_manifest(self, manifest: Manifest) -> None:
        self._replace(MANIFEST, _pretty(manifest.model_dump(mode="json")))

    def write_plan(self, plan: Plan) -> None:
        self._replace(PLAN, _pretty(plan.model_dump(mode="json")))

    def write_load(self, summary: LoadSummary) -> None:
        self._replace(LOAD, _pretty(summary.model_dump(mode="json")))

    def write_warnings(self, warnings: Iterable[Warn]) -> None:
        self._replace(WARNINGS, _pretty([warning.model_dump(mode="json") for warning in warnings]))

    def write_json(self, name: str, value: Any) -> Path:
        """Write a derived file such as ``analysis.json``: sorted keys, so equal values give equal bytes."""
        return self.write_text(name, _pretty(value))

    def write_text(self, name: str, text: str) -> Path:
        """Write a derived file whole or not at all: an earlier one stays where the disk is full, or a kill
        comes."""
        self._replace(name, text)
        return self.path / name

    def append_stretch(self, stretch: Stretch) -> None:
        """Once when it is released, and again where it ended otherwise than planned: the last one counts."""
        self._append(STRETCHES, _lines([stretch]))

    def append_ledger(self, table: LedgerTable) -> None:
        self._append(LEDGER, _lines([table]))

    def append_counted(self, counted: Sequence[Counted]) -> None:
        self._append(COUNTED, _lines(counted))

    def append_events(self, events: Sequence[Event]) -> None:
        self._append(EVENTS, _lines(events))

    def append_uploads(self, samples: Sequence[UploadSample]) -> None:
        self._append_member(UPLOADS, samples)

    def append_steps(self, samples: Sequence[StepSample]) -> None:
        self._append_member(STEPS, samples)

    def append_looks(self, looks: Sequence[Look]) -> None:
        self._append_member(LOOKS, looks)

    def _append_member(self, name: str, records: Sequence[Record]) -> None:
        if records:
            self._append(name, gzip.compress(_lines(records), mtime=0))

    def _append(self, name: str, data: bytes) -> None:
        if not data:
            return
        target = self.path / name
        with _named(target), target.open("ab", buffering=0) as file:
            _write_all(file.fileno(), data)
            os.fsync(file.fileno())

    def _replace(self, name: str, text: str) -> None:
        target = self.path / name
        draft = target.with_name(f".{name}.{os.getpid()}")
        try:
            with _named(target), draft.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


class Bundle:
    """Reads one bundle; needs nothing but the folder. Nothing is kept: a run may still be writing it."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise BundleError(f"{path} is not a bundle: there is no such folder")
        self.path = path

    def manifest(self) -> Manifest:
        return self._whole(MANIFEST, Manifest)

    def plan(self) -> Plan:
        return self._whole(PLAN, Plan)

    def load(self) -> LoadSummary | None:
        """What k6 said of itself; None while it has not ended."""
        return self._whole(LOAD, LoadSummary) if (self.path / LOAD).exists() else None

    def warnings(self) -> tuple[Warn, ...]:
        """Warnings of the whole run; empty while the run has not written them."""
        path = self.path / WARNINGS
        try:
            return _WARNINGS.validate_json(path.read_bytes()) if path.exists() else ()
        except ValidationError as error:
            raise unreadable(path, error) from error

    def stretches(self) -> tuple[Stretch, ...]:
        """Stretches in the order run."""
        return tuple({one.stretch: one for one in self._records(STRETCHES, Stretch)}.values())

    def uploads(self) -> tuple[UploadSample, ...]:
        """Every audited upload, in the order of the audits."""
        return tuple(self._records(UPLOADS, UploadSample))

    def steps(self) -> tuple[StepSample, ...]:
        return tuple(self._records(STEPS, StepSample))

    def looks(self) -> tuple[Look, ...]:
        return tuple(self._records(LOOKS, Look))

    def ledgers(self) -> tuple[LedgerTable, ...]:
        """The tables of all audits, in the order run."""
        return tuple(self._records(LEDGER, LedgerTable))

    def counted(self) -> tuple[Counted, ...]:
        return tuple(self._records(COUNTED, Counted))

    def events(self) -> tuple[Event, ...]:
        return tuple(self._records(EVENTS, Event))

    def refuse_torn(self, names: Iterable[str] = APPENDED) -> None:
        """Raises ``BundleError`` where a run came to its end and these records stop in the middle of one."""
        if self.manifest().ended_at is None:
            return
        for name in names:
            path = self.path / name
            if path.exists() and _split(name, path.read_bytes())[1]:
                raise BundleError(f"{path} is damaged: it stops in the middle of a record")

    def refuse_incomplete(self) -> None:
        """The same, and where records are gone without which something else would be found."""
        self.refuse_torn()
        manifest = self.manifest()
        if manifest.ended_at is None:
            return
        whole = not manifest.interrupted and self._holds(LOAD)  # k6 came to its end, too
        needed = OF_A_WHOLE_RUN if whole else OF_EVERY_END
        if whole and any(part.login_rate_per_s or part.list_rate_per_s for part in self.plan().parts):
            needed = (*needed, STEPS)
        if gone := [name for name in needed if not self._holds(name)]:
            raise BundleError(
                f"{self.path} lacks {', '.join(gone)}: without it, something else would be found"
            )

    def _holds(self, name: str) -> bool:
        path = self.path / name
        return path.exists() and path.stat().st_size > 0

    def _whole(self, name: str, kind: type[RecordT]) -> RecordT:
        path = self.path / name
        try:
            return kind.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise BundleError(f"{self.path} holds no {name}: the run ended before writing it") from error
        except ValidationError as error:
            raise unreadable(path, error) from error

    def _records(self, name: str, kind: type[RecordT]) -> Iterator[RecordT]:
        path = self.path / name
        if not path.exists():
            return
        whole, _ = _split(name, path.read_bytes())
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                if line:
                    yield kind.model_validate_json(line)
            except ValidationError as error:
                raise unreadable(f"{path}, line {number},", error) from error


def _split(name: str, data: bytes) -> tuple[bytes, bytes]:
    """The lines of a file that were written to their end, and the torn rest."""
    return whole_members(data) if name.endswith(".gz") else whole_lines(data)


def whole_lines(data: bytes) -> tuple[bytes, bytes]:
    """Every line that was written to its end, and what is left of a torn one."""
    end = data.rfind(b"\n") + 1
    return data[:end], data[end:]


def whole_members(data: bytes) -> tuple[bytes, bytes]:
    """The content of all whole gzip members, and what is left of a member that a kill tore."""
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
    return b"".join(parts), rest


def _lines(records: Sequence[Record]) -> bytes:
    return b"".join(record.model_dump_json().encode() + b"\n" for record in records)


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of writing say where; the system does not name an open file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
