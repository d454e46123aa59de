"""Health checks of the store, in the form that ``kit.health`` runs."""

from __future__ import annotations

from services.kit.health import NotOkError
from services.kit.s3.bucket import is_private
from services.kit.s3.client import S3Client
from services.kit.s3.errors import StoreError
from services.kit.s3.store_clock import clock_note


class StoreHealth:
    def __init__(self, store: S3Client) -> None:
        self._store = store

    async def check(self) -> str | None:
        """The store answers for the bucket; a note when its clock is off."""
        try:
            return clock_note(await self._store.check())
        except StoreError as error:
            raise NotOkError("the object store does not answer") from error

    async def bucket(self) -> str:
        """Nobody reads the bucket without a signature; asked anew, because a policy can be set later."""
        try:
            private = await is_private(self._store)
        except StoreError as error:
            raise NotOkError("the object store does not answer") from error
        if not private:
            raise NotOkError("a policy lets everybody into the bucket")
        return "private"
