"""How a durable file looks to its owner, for a request that has not registered it itself."""

from __future__ import annotations

from services.kit.errors import Fault, unavailable
from services.upload.finalise.outcome import GaveUpError, RefusedError
from services.upload.finalise.runner import Register
from services.upload.model import Looks, Made, Session
from services.upload.repository.whole import WholeUploads


class Summaries:
    """Registers the file once more: that changes nothing, and is answered with how the file looks."""

    def __init__(self, uploads: WholeUploads, registrar: Register) -> None:
        self._uploads, self._registrar = uploads, registrar

    async def of(self, session: Session) -> Looks:
        """Raises Fault: ``dependency_unavailable``; ``file_not_found`` when it was deleted meanwhile."""
        found = await self._uploads.look(session.id)
        looks = None if found is None else await self._registered(found[0])
        if looks is None:
            raise Fault("file_not_found", "The file was deleted after it was uploaded.")
        return looks

    async def _registered(self, session: Session) -> Looks | None:
        try:
            return await self._registrar.register(session, Made(session.etag or "", session.checksum))
        except (RefusedError, GaveUpError) as error:
            raise unavailable("files service") from error
