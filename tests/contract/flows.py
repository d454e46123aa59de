"""The upload strategies behind one face, so that one suite can hold for all of them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest

from tests.contract.api import Answer, Api, streamed

MIB = 1 << 20
CHUNK_BYTES = 10 * MIB  # as the load script cuts
PART_BYTES = 5 * MIB
STATUS_MEMBERS = {
    "upload_uuid",
    "status",
    "total_chunks",
    "uploaded_chunks",
    "received_bytes",
    "file_id",
    "error",
    "file_name",
    "file_size_bytes",
    "method",
    "created_at",
    "updated_at",
    "expires_at",
}


@dataclass(slots=True)
class Upload:
    """One open upload; ``facts`` is the session's answer."""

    api: Api
    uuid: str
    data: bytes
    facts: Mapping[str, Any]
    etags: dict[int, str] = field(default_factory=dict)

    async def status(self) -> Any:
        return await self.api.ok("GET", "/api/upload/status", params={"upload_uuid": self.uuid})


class Strategy(Protocol):
    """How bytes get in. ``pieces`` counts what ``send`` sends; ``first`` is the number of the first one."""

    name: str
    session: str
    first: int

    def facts(self, name: str, size: int) -> dict[str, Any]:
        """The session request's body."""

    def pieces(self, data: bytes) -> Sequence[bytes]:
        """The data as this strategy cuts it."""

    async def send(self, upload: Upload, index: int) -> Answer | None:
        """Send piece ``index`` (from 0) and register it; the last answer, if there was one of ours."""

    async def finish(self, upload: Upload) -> Answer:
        """The request whose 200 means durable; may be repeated."""


async def start(
    strategy: Strategy, api: Api, data: bytes, name: str = "testfile.bin", **given: Any
) -> Upload:
    body = strategy.facts(name, len(data))
    facts = await api.ok("POST", strategy.session, json=body, **given)
    return Upload(api, facts["upload_uuid"], data, facts)


async def run(strategy: Strategy, api: Api, data: bytes, name: str = "testfile.bin") -> Upload:
    """A whole upload, from session to durable."""
    upload = await start(strategy, api, data, name)
    if data:
        for index in range(len(strategy.pieces(data))):
            await strategy.send(upload, index)
        answer = await strategy.finish(upload)
        assert answer.status == 200, answer.body
    return upload


class Proxy:
    """Chunks through the gateway. ``checksums`` is off for the clients that send none."""

    session, first = "/api/upload/proxy/session", 0

    def __init__(self, chunk_bytes: int = CHUNK_BYTES, *, checksums: bool = True) -> None:
        self.name = f"proxy-{chunk_bytes // MIB}MiB" + ("" if checksums else "-unchecked")
        self._chunk_bytes, self._checksums = chunk_bytes, checksums

    def facts(self, name: str, size: int) -> dict[str, Any]:
        return {"file_name": name, "file_size_bytes": size}

    def pieces(self, data: bytes) -> Sequence[bytes]:
        return [data[at : at + self._chunk_bytes] for at in range(0, len(data), self._chunk_bytes)]

    async def send(self, upload: Upload, index: int) -> Answer:
        return await self.chunk(upload, index, self.pieces(upload.data)[index])

    async def chunk(self, upload: Upload, index: int, body: bytes, **headers: str) -> Answer:
        sent = {"Upload-UUID": upload.uuid, "Content-Type": "application/octet-stream", **headers}
        if self._checksums:
            sent.setdefault("Checksum", hashlib.sha256(body).hexdigest())
        return await upload.api.post("/api/upload/proxy/chunk", params={"id": index}, data=body, headers=sent)

    async def finish(self, upload: Upload) -> Answer:
        """The last chunk once more: a resend is a 200 that says what state the upload is in."""
        return await self.send(upload, len(self.pieces(upload.data)) - 1)


class Multipart:
    """Presigned parts, straight to the store."""

    name, session, first = "multipart", "/api/upload/multipart/session", 1

    def __init__(self, part_bytes: int = PART_BYTES) -> None:
        self.part_bytes = part_bytes

    def facts(self, name: str, size: int) -> dict[str, Any]:
        return {"file_name": name, "file_size_bytes": size, "part_size_bytes": self.part_bytes}

    def pieces(self, data: bytes) -> Sequence[bytes]:
        return [data[at : at + self.part_bytes] for at in range(0, len(data), self.part_bytes)]

    async def put(self, upload: Upload, index: int, body: bytes) -> str:
        """The bytes of one part to the store, with no header of our own; its ETag, quotes included."""
        return await put(upload.api, upload.facts["parts"][index]["url"], body)

    async def register(self, upload: Upload, index: int, etag: str, size: int) -> Answer:
        body = {"upload_uuid": upload.uuid, "part_number": index + 1, "size_bytes": size, "etag": etag}
        return await upload.api.post("/api/upload/multipart/part", json=body)

    async def send(self, upload: Upload, index: int) -> Answer:
        body = self.pieces(upload.data)[index]
        upload.etags[index + 1] = await self.put(upload, index, body)
        return await self.register(upload, index, upload.etags[index + 1], len(body))

    async def finish(self, upload: Upload) -> Answer:
        return await upload.api.post("/api/upload/multipart/complete", json={"upload_uuid": upload.uuid})


class Single:
    """One presigned PUT."""

    name, session, first = "single", "/api/upload/single/session", 0

    def facts(self, name: str, size: int) -> dict[str, Any]:
        return {"file_name": name, "file_size_bytes": size}

    def pieces(self, data: bytes) -> Sequence[bytes]:
        return [data] if data else []

    async def send(self, upload: Upload, index: int) -> None:
        upload.etags[index] = await put(upload.api, upload.facts["url"], self.pieces(upload.data)[index])

    async def finish(self, upload: Upload) -> Answer:
        return await upload.api.post("/api/upload/single/complete", json={"upload_uuid": upload.uuid})


async def put(api: Api, url: str, body: bytes) -> str:
    """A client's PUT to the store; aiohttp would add a content type, which clients need not."""
    async with api.session.put(url, data=streamed(body), skip_auto_headers=("Content-Type",)) as answer:
        assert answer.status == 200, await answer.read()
        return answer.headers["ETag"]


async def owned(api: Api, **params: Any) -> list[dict[str, Any]]:
    """The newest files of a user."""
    listed: list[dict[str, Any]] = (await api.ok("GET", "/api/files/me/owned", params=params))["files"]
    return listed


async def content(api: Api, file_id: str) -> bytes:
    """A file's bytes, through the gateway."""
    answer = await api.get(f"/api/files/f/{file_id}/download", params={"delivery": "proxied"})
    assert answer.status == 200, answer.body
    return answer.body


def payload(size: int, seed: int = 0) -> bytes:
    """Bytes that no store can compress or guess."""
    return random.Random(size + seed).randbytes(size)


one_of_each = pytest.mark.parametrize(
    "strategy", [Proxy(), Multipart(), Single()], ids=["proxy", "multipart", "single"]
)
