"""Files for a stretch to download: uploaded before it begins, and open to everybody.

They belong to a stack's first user. The ledger judges them as it does any upload, and every audit deletes
them: whoever plays the next stretch puts them there again.
"""

from __future__ import annotations

import time
from io import BytesIO

import aiohttp

from loadtests.harness.clients.client import REQUEST_TIMEOUT
from loadtests.harness.clients.payload import UploadRow
from loadtests.harness.clients.users import Identity
from loadtests.harness.k6.console import Lines
from loadtests.harness.k6.rows import Kind, Rows
from loadtests.harness.load import Stocked
from loadtests.harness.records.plan import STOCK
from loadtests.harness.records.samples import Intent, Outcome
from loadtests.harness.running.rig import Hold

CREATED = 201


class StockFailed(Exception):
    """A file could not be put where a stretch would download it; the message says what was answered."""


async def put(hold: Hold, rows: Rows, size_bytes: int, count: int, lines: Lines) -> list[Stocked]:
    """Upload and publish so many new files of one size; ``lines`` are what the ledger is told of them. Raises
    ``StockFailed``."""
    kind = Kind(size_bytes, size_bytes)
    await rows.fill(kind, count)
    taken: list[UploadRow] = []
    while len(taken) < count:
        taken += await rows.take(kind)
    return [await _put(hold, row, rows.payload(kind).body(row.ref), lines) for row in taken[:count]]


async def _put(hold: Hold, row: UploadRow, body: bytes, lines: Lines) -> Stocked:
    owner = hold.identities[0]
    began_at = time.time()
    headers = {
        "Content-Type": "application/octet-stream",
        "X-File-Name": f"{row.ref}.bin",
        "Checksum": row.sha256,
        "Idempotency-Key": row.ref,
    }
    answer = await _post(hold, owner, "/api/upload/file", headers, body)
    ended_at, file_id = time.time(), str(answer["upload_uuid"])
    await _post(hold, owner, f"/api/files/f/{file_id}/public", {}, b"")
    lines.intents.append(
        Intent(
            upload_ref=row.ref, stretch=STOCK, arm=STOCK, user_id=owner.user_id, size_bytes=len(body),
            sha256=row.sha256, at=began_at,
        )
    )  # fmt: skip
    lines.outcomes.append(
        Outcome(upload_ref=row.ref, acked=True, upload_uuid=file_id, started_at=began_at, ended_at=ended_at)
    )
    return Stocked(file_id, row.sha256)


async def _post(
    hold: Hold, owner: Identity, path: str, headers: dict[str, str], body: bytes
) -> dict[str, object]:
    """The answer to a request that creates something."""
    url, sent = hold.gateway_url + path, owner.headers | headers
    try:
        async with hold.http.post(url, data=BytesIO(body), headers=sent, timeout=REQUEST_TIMEOUT) as answer:
            if answer.status != CREATED:
                text = (await answer.text())[:200]
                raise StockFailed(f"a file to download: POST {path} was answered {answer.status}: {text}")
            found: dict[str, object] = await answer.json()
            return found
    except (aiohttp.ClientError, TimeoutError) as error:
        raise StockFailed(f"a file to download: POST {path} was not answered: {error!r}") from error
