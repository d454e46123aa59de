"""Telling the files service that a file exists, or never will; repeating it changes nothing."""

from __future__ import annotations

import json
from uuid import UUID

from services.kit.client import UpstreamError
from services.kit.clock import World
from services.kit.codec import encode
from services.kit.errors import unavailable
from services.kit.names import OCTET_STREAM
from services.kit.peer import peer_headers
from services.kit.tokens import CredentialSigner
from services.kit.upstream import Balanced, Upstream
from services.upload.finalise.outcome import GaveUpError, RefusedError
from services.upload.model import Living, Looks, Made, Session

PATH = "/internal/file"
TIMEOUT_S = 10.0


class Registrar:
    """Args:
    files: the files service, one address or several.
    """

    def __init__(self, files: Upstream | Balanced, signer: CredentialSigner, world: World) -> None:
        self._files, self._signer, self._world = files, signer, world

    async def register(self, session: Session, made: Made) -> Looks | None:
        """How the file looks to its owner, in whose list it is now; None: it was deleted since.

        Raises:
            RefusedError: no or no good answer; a later attempt may help.
            GaveUpError: the id is registered with other facts.
        """
        try:
            reply = await self._files.json("POST", PATH, _facts(session, made), self._headers(), TIMEOUT_S)
        except UpstreamError as error:
            raise RefusedError(type(error).__name__) from error
        if reply.status == 409:
            raise GaveUpError(
                "registration_conflict", "The file's id is registered with other facts or was given up."
            )
        if reply.status not in {200, 201}:
            raise RefusedError(f"status {reply.status}")
        looks: Looks | None = json.loads(reply.body).get("file")
        return looks

    async def void(self, upload_uuid: UUID) -> Living | None:
        """Make sure that this id never becomes a file; the file if it is one already.

        Raises:
            Fault: the files service does not say.
        """
        path = f"{PATH}/{upload_uuid}/void"
        try:
            reply = await self._files.json("POST", path, b"", self._headers(), TIMEOUT_S)
        except UpstreamError as error:
            raise unavailable("files service") from error
        if reply.status == 204:
            return None
        if reply.status != 409:
            raise unavailable("files service")
        file = json.loads(reply.body)["details"]
        return Living(**file)

    def _headers(self) -> dict[str, str]:
        return peer_headers(self._signer, self._world, TIMEOUT_S)


def _facts(session: Session, made: Made) -> bytes:
    return encode(
        {
            "file_uuid": session.upload_uuid,
            "upload_uuid": session.upload_uuid,
            "user_id": session.user_id,
            "name": session.file_name,
            "mime_type": session.mime_type or OCTET_STREAM,
            "storage_key": session.storage_key,
            "size_bytes": session.file_size_bytes,
            "checksum": made.checksum,
            "etag": made.etag,
        }
    )
