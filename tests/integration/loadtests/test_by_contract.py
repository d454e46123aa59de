"""Another implementation of the contract, played by a testbed of which only the base URL is known."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import uuid4

import aiohttp
import pytest

from loadtests.harness.clean import ContractCleaner
from loadtests.harness.clients.client import Uploader
from loadtests.harness.clients.users import Identity, create_users
from loadtests.harness.k6.console import Lines
from loadtests.harness.ledger.audit import Audit, Piece
from loadtests.harness.ledger.by_contract import ContractAuditor
from loadtests.harness.ledger.evidence import Baseline
from loadtests.harness.records.samples import Intent, Outcome
from loadtests.harness.records.vocabulary import LedgerClass
from loadtests.harness.testbeds.target import Target
from tests.stack import System

pytestmark = pytest.mark.integration

C = LedgerClass
GOOD = 3
SIZE = 3000
PIECE = Piece(audit=0, stack="", stretches=("s001",), seed=1, clients_came_back=False)


@dataclass(slots=True)
class Client:
    """Uploads as a load generator would, and what it says of them."""

    http: aiohttp.ClientSession
    url: str
    users: list[Identity]
    lines: Lines = field(default_factory=Lines)

    async def upload(self, *, told: bool | None = True, meant: bytes | None = None) -> str:
        """A whole upload of the first user; returns its id. ``meant``: bytes other than those sent."""
        content, ref = secrets.token_bytes(SIZE), f"run.{uuid4()}"
        self.intend(ref, content if meant is None else meant)
        file_id = await self._uploader(ref).direct_single(content)
        if told is not None:
            self.hear(ref, acked=told, upload_uuid=file_id)
        return file_id

    async def session(self, *, acked: bool = False) -> str:
        """An upload of which only the session was made."""
        ref = f"run.{uuid4()}"
        self.intend(ref, b"x" * SIZE)
        facts = {"file_name": f"{ref}.bin", "file_size_bytes": SIZE}
        url = f"{self.url}/api/upload/single/session"
        async with self.http.post(url, json=facts, headers=self.authorised) as answer:
            upload_uuid = str((await answer.json())["upload_uuid"])
        self.hear(ref, acked=acked, upload_uuid=upload_uuid)
        return upload_uuid

    def intend(self, ref: str, content: bytes) -> None:
        self.lines.intents.append(
            Intent(
                upload_ref=ref,
                stretch="s001",
                arm="B",
                user_id=self.users[0].user_id,
                size_bytes=SIZE,
                sha256=sha256(content).hexdigest(),
                at=time.time(),
            )
        )

    def hear(self, ref: str, *, acked: bool, upload_uuid: str | None) -> None:
        now = time.time()
        self.lines.outcomes.append(
            Outcome(upload_ref=ref, acked=acked, upload_uuid=upload_uuid, started_at=now - 1, ended_at=now)
        )

    @property
    def authorised(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.users[0].token}"}

    @property
    def target(self) -> Target:
        return Target(self.http, self.url)

    async def audit(self) -> Audit:
        auditor = ContractAuditor(self.target, lambda: self.users, abandoned_quiet_s=0.3)
        return await auditor.audit(PIECE, self.lines, baseline=Baseline())

    async def clean(self) -> tuple[int, int]:
        removed = (await ContractCleaner(self.target, lambda: self.users).clean()).removed
        return removed["sessions"], removed["files"]

    def _uploader(self, ref: str) -> Uploader:
        return Uploader(self.http, self.url, self.users[0].token, name=f"{ref}.bin")


@pytest.fixture
async def client(system: System) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http:
        users = await create_users(http, system.gateway, f"target-{secrets.token_hex(4)}", 2)
        made = Client(http, system.gateway, users)
        yield made
        await made.clean()


async def lost(client: Client) -> None:
    file_id = await client.upload()
    await client.target.delete_file(client.users[0], file_id)


async def never_there(client: Client) -> None:
    client.intend("run.none", b"")
    client.hear("run.none", acked=True, upload_uuid=str(uuid4()))


async def corrupt(client: Client) -> None:
    await client.upload(meant=b"something else")


async def stuck(client: Client) -> None:
    await client.session()


async def aborted(client: Client) -> None:
    await client.target.abort(client.users[0], await client.session())


async def refused(client: Client) -> None:
    client.intend("run.refused", b"")
    client.hear("run.refused", acked=False, upload_uuid=None)


async def late(client: Client) -> None:
    await client.upload(told=False)


async def unheard(client: Client) -> None:
    await client.upload(told=None)


CLASSES: dict[str, tuple[Callable[[Client], Awaitable[None]], LedgerClass, bool]] = {
    "G-02 acknowledged, gone": (lost, C.LOST, True),
    "G-02 acknowledged, never there": (never_there, C.LOST, True),
    "G-03 other bytes": (corrupt, C.CORRUPT, True),
    "G-06 stuck": (stuck, C.STUCK, False),
    "G-00 clean failure": (aborted, C.CLEAN_FAILURE, False),
    "G-01 no trace": (refused, C.NO_TRACE, False),
    "G-08 late success": (late, C.LATE_SUCCESS, False),
    "G-08 unheard": (unheard, C.LATE_SUCCESS, False),
}


@pytest.mark.parametrize("name", CLASSES)
async def test_class(client: Client, name: str) -> None:
    plant, kind, fails = CLASSES[name]
    for _ in range(GOOD):
        await client.upload()
    await plant(client)
    result = await client.audit()
    found = {key: count for key, count in result.table.classes.items() if count}
    assert found == {C.VERIFIED.value: GOOD, kind.value: 1}, result.table.offending
    assert result.table.failed == fails
    assert "not-decidable" in {warning.code for warning in result.warnings}
    assert not {"G-04", "G-09", "G-10"} & set(result.table.flags)


async def test_everything_right_is_read_back(client: Client) -> None:
    for _ in range(GOOD):
        await client.upload()
    result = await client.audit()
    table = result.table
    assert table.classes[C.VERIFIED] == table.hashed == GOOD
    assert table.verified_bytes == table.stored_bytes == GOOD * SIZE
    assert not table.failed
    assert all(sample.durable_at == sample.acked_at for sample in result.samples)


async def test_a_file_that_nobody_meant_is_foreign(client: Client) -> None:
    await client.upload()
    client.lines.intents.clear()
    client.lines.outcomes.clear()
    result = await client.audit()
    assert (result.table.flags["G-11"], result.table.failed) == (1, True)


async def test_cleaning_deletes_files_and_open_uploads(client: Client) -> None:
    for _ in range(GOOD):
        await client.upload()
    await client.session()
    assert await client.clean() == (1, GOOD)
    assert await client.target.files(client.users[0]) == []
    assert await client.clean() == (0, 0)


async def test_a_user_who_is_not_ours_is_never_cleaned(client: Client) -> None:
    client.users[1] = Identity(str(uuid4()), "somebody@example.org", "", "")
    cleaner = ContractCleaner(client.target, lambda: client.users)
    with pytest.raises(ValueError, match="no user of the harness"):
        await cleaner.clean()
    client.users.pop()
