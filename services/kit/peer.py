"""The head of a request from one service to another."""

from __future__ import annotations

from services.kit.clock import World
from services.kit.deadline import HEADER, left_s
from services.kit.tokens import CredentialSigner
from services.kit.trail import TRAIL


def peer_headers(signer: CredentialSigner, world: World, limit_s: float) -> dict[str, str]:
    """Of one with a JSON body, for no user, whose answer is waited for at most so long."""
    return {
        "Content-Type": "application/json",
        HEADER: str(int(left_s(limit_s) * 1000)),
        "X-Service-Token": signer.token(None),
        "X-Request-Id": TRAIL.get().request_id or world.new_request_id(),
    }
