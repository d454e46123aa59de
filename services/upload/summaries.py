"""Asking the files service how a file looks that was just registered there."""

from __future__ import annotations

from typing import Any, Protocol

import orjson

from services.kit.client import UpstreamError
from services.kit.clock import World
from services.kit.errors import Fault, unavailable
from services.kit.tokens import CredentialSigner
from services.kit.trail import TRAIL
from services.kit.upstream import Balanced, Upstream
from services.upload.model import Session

TIMEOUT_S = 10.0


class Summaries(Protocol):
    """How durable files look to their owner."""

    async def of(self, session: Session) -> dict[str, Any]:
        """Raises Fault: ``dependency_unavailable``; ``file_not_found`` when it was deleted meanwhile."""


class FilesSummaries:
    """Args:
    files: the files service, one address or several.
    """

    def __init__(self, files: Upstream | Balanced, signer: CredentialSigner, world: World) -> None:
        self._files, self._signer, self._world = files, signer, world

    async def of(self, session: Session) -> dict[str, Any]:
        user_id = str(session.user_id)
        headers = {
            "X-User-ID": user_id,
            "X-Service-Token": self._signer.token(user_id),
            "X-Request-Id": TRAIL.get().request_id or self._world.new_request_id(),
        }
        path = f"/internal/file/{session.upload_uuid}"
        try:
            reply = await self._files.json("GET", path, b"", headers, TIMEOUT_S)
        except UpstreamError as error:
            raise unavailable("files service") from error
        if reply.status == 404:
            raise Fault("file_not_found", "The file was deleted after it was uploaded.")
        if reply.status != 200:
            raise unavailable("files service")
        summary: dict[str, Any] = orjson.loads(reply.body)
        return summary
