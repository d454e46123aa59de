"""The audit's view of a real store."""

from __future__ import annotations

from hashlib import sha256

import pytest
from minio.datatypes import Part

from tests.integration.loadtests.planted import SIZE, Planter, Rig

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
