"""Log lines of made-up uploads, as the processes would have written them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from compose.trace.command import trace
from compose.trace.sources import FileLogs

ROOT = Path(__file__).parents[3]
COMPOSE_FILES = ("compose.yaml", "compose.scaled.yaml")

BEGAN = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
UPLOAD = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"


def request_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def line(service: str, started_ms: float, duration_ms: float, **given: Any) -> dict[str, Any]:
    ended = BEGAN + timedelta(milliseconds=started_ms + duration_ms)
    head = {"time": ended.isoformat().replace("+00:00", "Z"), "level": "info", "service": service}
    facts = {"method": "POST", "status": 200, "error": None, "bytes_in": 0, "bytes_out": 10}
    return {
        **head,
        "instance": f"{service}-1",
        "event": "request",
        **facts,
        "duration_ms": duration_ms,
        **given,
    }


def chunk(number: int, start_ms: float) -> dict[str, list[dict[str, Any]]]:
    """One chunk as the three processes log it; the gateway does not know the upload."""
    same = {"request_id": request_id(number)}
    return {
        "gateway": [line("gateway", start_ms, 10, route="/api/upload/proxy/chunk", bytes_in=1 << 20, **same)],
        "upload": [
            line(
                "upload",
                start_ms + 1,
                8,
                route="/proxy/chunk",
                upload_uuid=UPLOAD,
                statements=3,
                sql_ms=2.5,
                store_requests=1,
                store_ms=4.0,
                upstream_ms=1.0,
                **same,
            )
        ],
        "files": [
            line(
                "files",
                start_ms + 6,
                1,
                route="/internal/file",
                upload_uuid=UPLOAD,
                statements=1,
                sql_ms=0.5,
                **same,
            )
        ],
    }


def session(number: int, start_ms: float, kind: str = "proxy") -> dict[str, list[dict[str, Any]]]:
    same = {"request_id": request_id(number)}
    return {
        "gateway": [line("gateway", start_ms, 3, route=f"/api/upload/{kind}/session", **same)],
        "upload": [
            line(
                "upload",
                start_ms + 1,
                1,
                route=f"/{kind}/session",
                upload_uuid=UPLOAD,
                statements=1,
                sql_ms=0.7,
                **same,
            )
        ],
    }


def written(folder: Path, *stories: Mapping[str, list[dict[str, Any]]]) -> FileLogs:
    for story in stories:
        for service, lines in story.items():
            with (folder / f"{service}.log").open("a") as log:
                log.writelines(json.dumps(one, separators=(",", ":")) + "\n" for one in lines)
    return FileLogs(folder)


def noise(number: int) -> dict[str, list[dict[str, Any]]]:
    rest = {"request_id": request_id(900 + number), "route": "/proxy/chunk"}
    return {
        "gateway": [line("gateway", 0, 5, **rest)],
        "upload": [line("upload", 0, 4, upload_uuid=OTHER, statements=9, **rest)],
    }


def printed(source: FileLogs, wanted: str, **options: bool) -> str:
    out = StringIO()
    console = Console(file=out, width=80, color_system=None)
    trace(source, wanted, console, **{"as_json": False, "everything": False, **options})
    return out.getvalue()


def flat(text: str) -> str:
    """Without the line breaks that the width of the terminal made."""
    return " ".join(text.split())
