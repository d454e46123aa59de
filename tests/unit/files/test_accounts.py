"""Asking the auth service for accounts, behind a breaker."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from services.files.accounts import Accounts
from services.kit.clock import World
from services.kit.errors import Fault
from services.kit.metrics import UpstreamMetrics
from services.kit.tokens import CredentialSigner
from services.kit.upstream import CALLEE_SHARE, Rules, Upstream, guards

pytestmark = pytest.mark.unit


async def test_an_auth_service_that_is_gone_is_left_alone_after_ten_questions() -> None:
    world, metrics = World(), UpstreamMetrics(CollectorRegistry())
    guard = guards(True, Rules(CALLEE_SHARE, open_s=20.0, probe=False), world.monotonic)()
    async with Upstream("auth", "http://127.0.0.1:1", metrics, guard=guard) as auth:
        accounts = Accounts(auth, CredentialSigner("files", "auth", "k" * 32, world.now), world)
        faults = []
        for _ in range(12):
            with pytest.raises(Fault) as caught:
                await accounts.resolve(["somebody@example.org"])
            faults.append(caught.value)
    assert [fault.code for fault in faults] == ["dependency_unavailable"] * 10 + ["circuit_open"] * 2
    assert faults[-1].headers["Retry-After"] == "20"
