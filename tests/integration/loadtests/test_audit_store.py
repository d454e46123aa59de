"""The audit's view of a real store."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path

import pytest
from minio.datatypes import Part

from tests.integration.loadtests.planted import SIZE, Planter, Rig
from tests.stack import Backends

pytestmark = pytest.mark.integration


async def test_objects_are_listed_and_read_back(planter: Planter, rig: Rig) -> None:
    upload = planter.upload()
    etag = planter.put(upload)
    (listed,) = await rig.store.objects("users/")
    assert (listed.key, listed.size_bytes, listed.etag) == (planter.key(upload), SIZE, etag)
    # The store's ETag of a plain PUT is what the payload's table expects.
    assert etag in upload.row.etags
    content = rig.payload.body(upload.row.ref)
    assert await rig.store.hashes([listed.key, "users/none"]) == {
        listed.key: sha256(content).hexdigest(),
        "users/none": "",
    }


async def test_open_multipart_uploads_are_found_and_aborted_twice(planter: Planter, rig: Rig) -> None:
    upload = planter.upload()
    upload_id = planter.multipart(upload)
    key = planter.key(upload)
    (found,) = await rig.store.multiparts([key])
    assert (found.key, found.upload_id, found.size_bytes) == (key, upload_id, 100)
    for _ in range(2):
        await rig.store.abort([(key, upload_id)])
    assert await rig.store.multiparts([key]) == ()


async def test_a_completed_multipart_upload_has_the_expected_etag(planter: Planter, rig: Rig) -> None:
    upload = planter.upload()
    client, key = rig.client, planter.key(upload)
    upload_id = client._create_multipart_upload(rig.bucket, key, {})
    body = rig.payload.body(upload.row.ref)
    part = client._upload_part(rig.bucket, key, body, {}, upload_id, 1)
    client._complete_multipart_upload(rig.bucket, key, upload_id, [Part(1, part)])
    (listed,) = await rig.store.objects("users/")
    assert listed.etag in upload.row.etags


async def test_deleting_what_is_gone_is_no_error(planter: Planter, rig: Rig) -> None:
    keys = [f"users/{rig.user}/{number}" for number in range(1200)]
    await rig.store.remove(keys)
    assert await rig.store.objects("users/") == ()


async def test_a_folder_goes_whole_and_leaves_no_trash(
    planter: Planter, rig: Rig, backends: Backends
) -> None:
    uploads = [planter.upload() for _ in range(5)]
    for upload in uploads:
        planter.put(upload)
    neighbour = f"users/{rig.user}-not/file"
    planter.put(planter.upload(), key=neighbour)
    before = trash(backends)
    await rig.store.purge([f"users/{rig.user}/", "users/nobody/"])
    left = {stored.key for stored in await rig.store.objects("users/")}
    if not trash_of(backends).exists():  # nothing to spare the store: it need not know how
        assert left in ({neighbour}, {neighbour, *map(planter.key, uploads)})
        return
    assert left == {neighbour}
    async with asyncio.timeout(30):
        while trash(backends) > before:  # emptied by itself, long before the store's own timer
            await asyncio.sleep(0.02)
    await rig.store.remove([neighbour])
    assert trash(backends) > before


def trash_of(backends: Backends) -> Path:
    """Where MinIO puts aside what it deletes from the disk later."""
    return backends.stack.run_dir / "s3/.minio.sys/tmp/.trash"


def trash(backends: Backends) -> int:
    return len(list(trash_of(backends).glob("*")))


@pytest.mark.parametrize("prefix", ["", "users", f"users/{'0' * 8}", "/users/"])
async def test_what_is_no_folder_is_never_purged(rig: Rig, prefix: str) -> None:
    with pytest.raises(ValueError, match="not a folder"):
        await rig.store.purge([prefix])
