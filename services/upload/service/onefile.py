"""``POST /file``: one file in one request, in a body mode of the client's choice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from services.kit.errors import Fault
from services.upload.senders import Senders
from services.upload.service.arrival import FileWanted, named
from services.upload.service.whole import WholeFiles
from services.upload.summaries import Summaries


class OneFileService:
    """Args:
    default_mode: the body mode of requests that name none.
    max_bytes: the largest file.
    """

    def __init__(
        self,
        files: WholeFiles,
        summaries: Summaries,
        senders: Senders,
        *,
        default_mode: str,
        max_bytes: int,
    ) -> None:
        self._files, self._summaries, self._senders = files, summaries, senders
        self._default_mode, self.max_bytes = default_mode, max_bytes

    def mode(self, asked: str | None) -> str:
        """Raises Fault: ``invalid_query``."""
        if asked is None:
            return self._default_mode
        if asked not in self._files.modes:
            raise Fault("invalid_query", f"mode is one of {', '.join(self._files.modes)}.")
        return asked

    async def upload(self, wanted: FileWanted, mode: str, body: AsyncIterator[bytes]) -> dict[str, Any]:
        """How the file looks that this made; durable.

        Raises:
            Fault: every refusal of the route; with ``details.upload_uuid`` where the file is stored.
            ConnectionError: the client left; nothing stays.
        """
        with self._senders.sending(wanted.user_id):
            arrival = await self._files.begin(wanted, mode, self.max_bytes)
            await arrival.receive(body)
        durable = await arrival.finish()
        session, looks = durable.session, durable.looks
        if looks is None:
            try:
                looks = await self._summaries.of(session)
            except Fault as fault:
                raise named(fault, session) from fault
        return {**looks, "upload_uuid": session.upload_uuid}
