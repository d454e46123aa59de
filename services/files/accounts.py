"""Who has which e-mail, asked of the auth service."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.kit.client import UpstreamError
from services.kit.clock import World
from services.kit.codec import decode, encode, parse_uuid
from services.kit.errors import Fault, unavailable
from services.kit.peer import peer_headers
from services.kit.tokens import CredentialSigner
from services.kit.upstream import Balanced, CircuitOpen, Upstream

PATH = "/internal/resolve-users"
TIMEOUT_S = 2.0


class Accounts:
    """Args:
    auth: the auth service, one address or several.
    """

    def __init__(self, auth: Upstream | Balanced, signer: CredentialSigner, world: World) -> None:
        self._auth, self._signer, self._world = auth, signer, world

    async def resolve(self, emails: Sequence[str]) -> dict[str, UUID]:
        """User ids of those normalised e-mails that have an account; asked once.

        Raises:
            Fault: ``dependency_unavailable`` without a good answer in time, ``circuit_open`` unasked.
        """
        headers = peer_headers(self._signer, self._world, TIMEOUT_S)
        try:
            reply = await self._auth.json("POST", PATH, encode(list(emails)), headers, TIMEOUT_S)
        except CircuitOpen as error:
            raise Fault(
                "circuit_open",
                "The account service has failed too often and is left alone for a while.",
                headers={"Retry-After": str(error.retry_after_s)},
            ) from error
        except UpstreamError as error:
            raise _unavailable() from error
        if reply.status != 200:
            raise _unavailable()
        return _found(reply.body)


def _found(body: bytes) -> dict[str, UUID]:
    try:
        found = decode(body)
    except Fault as error:
        raise _unavailable() from error
    try:
        return {email: parse_uuid(user_id, "A user id") for email, user_id in found.items()}
    except (AttributeError, TypeError, Fault) as error:
        raise _unavailable() from error


def _unavailable() -> Fault:
    return unavailable("account service")
