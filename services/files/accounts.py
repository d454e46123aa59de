"""Who has which e-mail, asked of the auth service."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.kit.client import UpstreamError
from services.kit.clock import World
from services.kit.codec import decode, encode, parse_uuid
from services.kit.deadline import HEADER as DEADLINE_HEADER
from services.kit.deadline import left_s
from services.kit.errors import Fault, unavailable
from services.kit.tokens import CredentialSigner
from services.kit.trail import TRAIL
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
        headers = {
            "Content-Type": "application/json",
            DEADLINE_HEADER: str(int(left_s(TIMEOUT_S) * 1000)),
            "X-Service-Token": self._signer.token(None),
            "X-Request-Id": TRAIL.get().request_id or self._world.new_request_id(),
        }
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
