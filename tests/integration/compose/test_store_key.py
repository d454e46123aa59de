"""The services' key: enough for them in their bucket, nothing beside it."""

from __future__ import annotations

import io
import json
import os

import pytest
from minio import Minio
from minio.error import S3Error

from compose import store
from compose.store_key import admin, give_key
from tests.stack import Backends

pytestmark = pytest.mark.integration
BUCKET, ACCESS, SECRET = "its-own-bucket", "the-services-key", "a-secret-of-theirs"
# Where the store itself is told what a key may do; elsewhere a key may do what its bucket's owner may.
by_policy = pytest.mark.skipif("store-key" in store.others(os.environ), reason="no policy for a key")


def client(backends: Backends, access: str, secret: str) -> Minio:
    return Minio(backends.stack.env["S3_ENDPOINT"].partition("//")[2], access, secret, secure=False)


@pytest.fixture(scope="module")
def root(backends: Backends) -> Minio:
    settings = backends.store_settings()
    return client(backends, settings["S3_ACCESS_KEY"], settings["S3_SECRET_KEY"])


@pytest.fixture(scope="module")
def theirs(backends: Backends) -> Minio:
    env = backends.stack.env
    root = admin(env["S3_ENDPOINT"], env["MINIO_ROOT_USER"], env["MINIO_ROOT_PASSWORD"])
    for secret in ("another-secret", SECRET, SECRET):  # a key that changes, and a second start
        give_key(root, BUCKET, ACCESS, secret)
    found = client(backends, ACCESS, SECRET)
    found.make_bucket(BUCKET)
    return found


def refused(code: str, *calls: object) -> None:
    for call in calls:
        assert callable(call)
        with pytest.raises(S3Error) as caught:
            call()
        assert caught.value.code == code


def test_the_testbed_s_own_key_makes_its_bucket_and_sees_no_other(backends: Backends, root: Minio) -> None:
    env = backends.stack.env
    bucket, own = env["S3_BUCKET"], client(backends, env["S3_ACCESS_KEY"], env["S3_SECRET_KEY"])
    own.make_bucket(bucket)
    own.put_object(bucket, "users/a", io.BytesIO(b"abcd"), 4)
    assert [one.object_name for one in own.list_objects(bucket, recursive=True)] == ["users/a"]
    root.make_bucket("of-root")
    root.put_object("of-root", "a", io.BytesIO(b"abcd"), 4)
    refused(
        "AccessDenied",
        lambda: list(own.list_objects("of-root")),
        lambda: own.get_object("of-root", "a"),
        lambda: own.put_object("of-root", "b", io.BytesIO(b"abcd"), 4),
        lambda: own.remove_object("of-root", "a"),
        lambda: own.remove_bucket("of-root"),
    )


@by_policy
def test_the_bucket_is_made_with_it(theirs: Minio) -> None:
    assert theirs.bucket_exists(BUCKET)
    assert list(theirs.list_objects(BUCKET)) == []


@by_policy
def test_another_bucket_and_the_own_one_s_policy_are_out_of_reach(theirs: Minio, root: Minio) -> None:
    root.make_bucket("of-others")
    open_to_all = json.dumps({"Version": "2012-10-17", "Statement": []})
    refused(
        "AccessDenied",
        lambda: list(theirs.list_objects("of-others")),
        lambda: theirs.make_bucket("one-more"),
        lambda: theirs.remove_bucket(BUCKET),
        lambda: theirs.set_bucket_policy(BUCKET, open_to_all),
    )


@by_policy
def test_it_administers_nothing(theirs: Minio, backends: Backends) -> None:
    own = admin(backends.stack.env["S3_ENDPOINT"], ACCESS, SECRET)
    with pytest.raises(Exception, match="AccessDenied"):
        own.user_add("one-more-key", "with-a-secret")
