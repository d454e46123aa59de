"""Opening a proxied upload."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from services.kit.errors import Fault
from services.upload.model import ADVISED_CHUNK_BYTES, Method, Session
from services.upload.service.opening import Opening, Shape, Wanted, judge_size


class ProxiedService:
    """Args:
    mode: the finalise mode of uploads that ask for none.
    switches: the modes that a request may ask for; empty when experiments are off.
    """

    def __init__(self, opening: Opening, *, mode: str, switches: AbstractSet[str], max_bytes: int) -> None:
        self._opening, self._mode, self._switches, self._max_bytes = opening, mode, switches, max_bytes

    def mode(self, asked: str | None) -> str:
        """Raises Fault: ``switch_disabled``, or ``invalid_query`` for an unknown mode."""
        if asked is None:
            return self._mode
        if not self._switches:
            raise Fault("switch_disabled", "Experiment switches are off on this system.")
        if asked not in self._switches:
            raise Fault("invalid_query", f"finalise is one of {', '.join(sorted(self._switches))}.")
        return asked

    async def open(self, wanted: Wanted, asked_mode: str | None) -> Session:
        mode = self.mode(asked_mode)
        judge_size(wanted.file_size_bytes, self._max_bytes)
        total = -(-wanted.file_size_bytes // ADVISED_CHUNK_BYTES)
        new = self._opening.new(wanted, Shape(Method.PROXY, total, finalise_mode=mode))
        return (await self._opening.open(new))[1]
