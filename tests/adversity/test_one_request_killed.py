"""Kill -9 of the upload service while it receives a whole file in one request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.adversity.bench import MIB, Bench, until

pytestmark = [pytest.mark.adversity, pytest.mark.noisy]


@pytest.mark.parametrize("mode", ["streamed", "spooled", "buffered"])
async def test_the_key_of_a_file_that_broke_off_is_free_again(bench: Bench, mode: str) -> None:
    """Its sender's lease runs out; then the same key makes one file, of all bytes."""
    client = await bench.client(MIB)
    row = bench.row(client)
    data, held = client.payload.body(row.ref), asyncio.Event()
    headers = {
        "Authorization": f"Bearer {client.identity.token}",
        "Idempotency-Key": row.ref,
        "X-File-Name": "a.bin",
        "Content-Length": str(len(data)),
        "Checksum": row.sha256,
    }
    url = f"{client.gateway}/api/upload/file?mode={mode}"

    async def half() -> AsyncIterator[bytes]:
        yield data[: len(data) // 2]
        held.set()
        await asyncio.Event().wait()

    async def received() -> bool:
        found = await bench.databases.upload.fetchval(
            "SELECT count(*) FROM upload_sessions WHERE idempotency_key = $1", row.ref
        )
        return bool(found)

    async def again() -> bool:
        async with client.http.post(url, data=data, headers=headers) as answer:
            assert answer.status in {201, 502, 503}, await answer.text()
            return answer.status == 201

    async with bench.upload_runs_with(LEASE_S="1"):
        sending = asyncio.ensure_future(client.http.post(url, data=half(), headers=headers))
        await held.wait()
        await until(received)
        killed = await bench.kill()
        try:
            async with await sending as answer:
                assert answer.status in {502, 503}
        except aiohttp.ClientError:
            pass  # the gateway may close before its answer is read: the body was still being sent
        await bench.recovered(killed)
        await until(again)
    found = await bench.databases.upload.fetch(
        "SELECT upload_uuid, status::text, idempotency_key FROM upload_sessions"
        " WHERE user_id = $1 ORDER BY id",
        client.identity.user_id,
    )
    assert [(one["status"], one["idempotency_key"]) for one in found] == [
        ("aborted", None),
        ("completed", row.ref),
    ]
    keys = await bench.stored_keys()
    assert f"users/{client.identity.user_id}/{found[1]['upload_uuid']}" in keys
    assert f"users/{client.identity.user_id}/{found[0]['upload_uuid']}" not in keys
