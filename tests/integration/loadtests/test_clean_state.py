"""Cleaning: nothing of ours stays, nothing of others goes, and latecomers are met again."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import uuid4

import pytest

from loadtests.harness.clean import Cleaner, CleanError
from loadtests.harness.ledger.audit import Auditor
from loadtests.harness.ledger.store import AuditStore
from tests.integration.loadtests.planted import Planter, Rig

pytestmark = pytest.mark.integration


async def plant_everything(planter: Planter) -> None:
    """Uploads in every state, with all that they can have in the store."""
    await planter.verified(3)
    for status in ("pending", "uploading", "failed", "aborted"):
        upload = planter.upload()
        await planter.session(upload, status, storage_upload_id=planter.multipart(upload))
        planter.put(upload, key=f"chunks/{upload.upload_uuid}/0-abc")
    orphan = planter.upload()
    planter.put(orphan)


async def plant_stranger(planter: Planter) -> str:
    upload = planter.upload()
    key = f"users/{planter.rig.stranger}/{upload.upload_uuid}"
    await planter.session(upload, user_id=planter.rig.stranger, storage_key=key)
    await planter.file(upload, user_id=planter.rig.stranger, storage_key=key)
    planter.put(upload, key=key)
    return key


async def count_all(rig: Rig) -> tuple[int, int, int, int]:
    sessions = await rig.databases.upload.fetchval("SELECT count(*) FROM upload_sessions")
    files = await rig.databases.files.fetchval("SELECT count(*) FROM files")
    return sessions, files, len(await rig.store.objects("")), len(await rig.store.multiparts([]))


async def test_nothing_of_ours_stays_and_strangers_keep_theirs(planter: Planter, rig: Rig) -> None:
    await plant_everything(planter)
    key = await plant_stranger(planter)
    cleaned = await Cleaner(rig.databases, rig.store).clean()
    removed = cleaned.removed
    assert [removed[name] for name in ("sessions", "files", "objects", "multiparts")] == [7, 3, 8, 4]
    assert await count_all(rig) == (1, 1, 1, 0)
    assert cleaned.baseline.object_keys == {key}
    assert cleaned.baseline.files == 1
    assert await rig.databases.auth.fetchval("SELECT count(*) FROM users WHERE id = $1", rig.user) == 1


class PlainStore(AuditStore):
    """A store that does not know how to drop whole folders."""

    async def purge(self, folders: Iterable[str]) -> None:
        assert all(folder.endswith("/") for folder in folders)


async def test_a_store_without_whole_folders_is_cleaned_as_well(planter: Planter, rig: Rig) -> None:
    await plant_everything(planter)
    key = await plant_stranger(planter)
    store = PlainStore(rig.client, rig.bucket)
    cleaned = await Cleaner(rig.databases, store).clean()
    store.close()
    assert cleaned.removed["objects"] == 8
    assert await count_all(rig) == (1, 1, 1, 0)
    assert cleaned.baseline.object_keys == {key}


async def test_the_stranger_s_files_are_no_finding_afterwards(planter: Planter, rig: Rig) -> None:
    await plant_stranger(planter)
    cleaned = await Cleaner(rig.databases, rig.store).clean()
    snapshot = await Auditor(rig.databases, rig.store).snapshot(frozenset({rig.user}), frozenset())
    assert snapshot.other_file_ids == cleaned.baseline.file_ids
    assert {stored.key for stored in snapshot.objects} == cleaned.baseline.object_keys


async def test_everything_goes_when_asked(planter: Planter, rig: Rig) -> None:
    await plant_everything(planter)
    await plant_stranger(planter)
    planter.put(planter.upload(), key=f"users/{uuid4()}/of-nobody")
    cleaned = await Cleaner(rig.databases, rig.store, everything=True).clean()
    assert await count_all(rig) == (0, 0, 0, 0)
    assert cleaned.baseline.files == 0


async def test_a_clean_system_is_left_alone(planter: Planter, rig: Rig) -> None:
    assert not (await Cleaner(rig.databases, rig.store).clean()).removed


async def test_a_tombstone_of_ours_goes(planter: Planter, rig: Rig) -> None:
    upload = planter.upload()
    await planter.session(upload, "aborted")
    nobody = "00000000-0000-0000-0000-000000000000"
    await planter.file(upload, user_id=nobody, storage_key=f"void/{upload.upload_uuid}", file_name="")
    await Cleaner(rig.databases, rig.store).clean()
    assert await count_all(rig) == (0, 0, 0, 0)


async def test_what_comes_while_cleaning_goes_too(planter: Planter, rig: Rig) -> None:
    await planter.verified(1)
    late = [planter.upload(), planter.upload()]

    async def pause(seconds: float) -> None:
        if late:
            upload = late.pop()
            planter.put(upload)
            await planter.file(upload)

    cleaned = await Cleaner(rig.databases, rig.store, sleep=pause).clean()
    assert (cleaned.removed["files"], late) == (3, [])
    assert await count_all(rig) == (0, 0, 0, 0)


async def test_what_never_ends_is_an_error(planter: Planter, rig: Rig) -> None:
    now = [0.0]

    async def pause(seconds: float) -> None:
        now[0] += 20.0
        planter.put(planter.upload())

    await planter.verified(1)
    cleaner = Cleaner(rig.databases, rig.store, sleep=pause, clock=lambda: now[0])
    with pytest.raises(CleanError, match="30 s"):
        await cleaner.clean()
