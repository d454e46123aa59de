"""The services' key in MinIO: enough for them in their bucket, nothing beside it."""

from __future__ import annotations

import json

import pytest
from minio import Minio
from minio.error import S3Error

from compose.store_key import admin, give_key
from tests.stack import Backends

pytestmark = pytest.mark.integration
BUCKET, ACCESS, SECRET = "its-own-bucket", "the-services-key", "a-secret-of-theirs"


def client(backends: Backends, access: str, secret: str) -> Minio:
    return Minio(backends.stack.env["S3_ENDPOINT"].partition("//")[2], access, secret, secure=False)


@pytest.fixture(scope="module")
def theirs(backends: Backends) -> Minio:
    env = backends.stack.env
    root = admin(env["S3_ENDPOINT"], env["MINIO_ROOT_USER"], env["MINIO_ROOT_PASSWORD"])
    for secret in ("another-secret", SECRET, SECRET):  # a key that changes, and a second start
        give_key(root, BUCKET, ACCESS, secret)
    found = client(backends, ACCESS, SECRET)
    found.make_bucket(BUCKET)
    return found


def test_the_bucket_is_made_with_it(theirs: Minio) -> None:
    assert theirs.bucket_exists(BUCKET)
    assert list(theirs.list_objects(BUCKET)) == []


def test_another_bucket_and_the_own_one_s_policy_are_out_of_reach(theirs: Minio, backends: Backends) -> None:
    settings = backends.store_settings()
    root = client(backends, settings["S3_ACCESS_KEY"], settings["S3_SECRET_KEY"])
    root.make_bucket("of-others")
    open_to_all = json.dumps({"Version": "2012-10-17", "Statement": []})
    for forbidden in (
        lambda: list(theirs.list_objects("of-others")),
        lambda: theirs.make_bucket("one-more"),
        lambda: theirs.remove_bucket(BUCKET),
        lambda: theirs.set_bucket_policy(BUCKET, open_to_all),
    ):
        with pytest.raises(S3Error) as caught:
            forbidden()
        assert caught.value.code == "AccessDenied"


def test_it_administers_nothing(theirs: Minio, backends: Backends) -> None:
    own = admin(backends.stack.env["S3_ENDPOINT"], ACCESS, SECRET)
    with pytest.raises(Exception, match="AccessDenied"):
        own.user_add("one-more-key", "with-a-secret")
