"""The services' key: enough for them in their bucket, nothing beside it."""

from __future__ import annotations

import io
import json
import os

import pytest
from minio import Minio
from minio.error import S3Error

from compose import store
from compose.store_key import admin, give_key, make_bucket, open_bucket, policy
from tests.stack import Backends

pytestmark = pytest.mark.integration
has_administration = pytest.mark.skipif(
    store.chosen(os.environ) != store.MINIO, reason="keys are given by MinIO's administration only"
)


def client(backends: Backends, access: str, secret: str) -> Minio:
    return Minio(backends.stack.env["S3_ENDPOINT"].partition("//")[2], access, secret, secure=False)


@pytest.fixture(scope="module")
def root(backends: Backends) -> Minio:
    settings = backends.store_settings()
    return client(backends, settings["S3_ACCESS_KEY"], settings["S3_SECRET_KEY"])


@pytest.fixture(scope="module")
def theirs(backends: Backends) -> Minio:
    """The services' own, as the testbed gave it to them."""
    env = backends.stack.env
    return client(backends, env["S3_ACCESS_KEY"], env["S3_SECRET_KEY"])


@pytest.fixture(scope="module")
def bucket(backends: Backends) -> str:
    return backends.stack.env["S3_BUCKET"]


def refused(*calls: object) -> None:
    for call in calls:
        assert callable(call)
        with pytest.raises(S3Error) as caught:
            call()
        assert caught.value.code == "AccessDenied"


def four_bytes(client: Minio, bucket: str, key: str) -> None:
    client.put_object(bucket, key, io.BytesIO(b"abcd"), 4)


def test_their_bucket_is_there_and_takes_objects(theirs: Minio, bucket: str) -> None:
    assert theirs.bucket_exists(bucket)
    four_bytes(theirs, bucket, "users/a")
    assert [one.object_name for one in theirs.list_objects(bucket, recursive=True)] == ["users/a"]
    theirs.remove_object(bucket, "users/a")


def test_other_buckets_are_out_of_reach(theirs: Minio, root: Minio) -> None:
    root.make_bucket("of-others")
    four_bytes(root, "of-others", "a")
    refused(
        lambda: list(theirs.list_objects("of-others")),
        lambda: theirs.get_object("of-others", "a"),
        lambda: four_bytes(theirs, "of-others", "b"),
        lambda: theirs.remove_object("of-others", "a"),
        lambda: theirs.remove_bucket("of-others"),
        lambda: theirs.make_bucket("one-more"),
    )


def test_their_bucket_stays_as_it_is(theirs: Minio, bucket: str) -> None:
    refused(
        lambda: theirs.remove_bucket(bucket),
        lambda: theirs.set_bucket_policy(bucket, json.dumps(policy(bucket, Principal={"AWS": ["*"]}))),
        lambda: theirs.delete_bucket_policy(bucket),
    )


def test_a_second_start_changes_nothing(theirs: Minio, root: Minio, bucket: str, backends: Backends) -> None:
    env = backends.stack.env
    make_bucket(root, bucket)
    if store.chosen(env) == store.MINIO:
        master = admin(env["S3_ENDPOINT"], env["MINIO_ROOT_USER"], env["MINIO_ROOT_PASSWORD"])
        give_key(master, bucket, env["S3_ACCESS_KEY"], env["S3_SECRET_KEY"])
    else:
        open_bucket(root, bucket, env["S3_ACCESS_KEY"])
    test_their_bucket_is_there_and_takes_objects(theirs, bucket)
    test_their_bucket_stays_as_it_is(theirs, bucket)


@has_administration
def test_a_key_can_be_changed(root: Minio, backends: Backends) -> None:
    env, bucket, access = backends.stack.env, "its-own-bucket", "another-key-of-theirs"
    master = admin(env["S3_ENDPOINT"], env["MINIO_ROOT_USER"], env["MINIO_ROOT_PASSWORD"])
    make_bucket(root, bucket)
    for secret in ("a-secret-of-theirs", "another-secret"):
        give_key(master, bucket, access, secret)
        four_bytes(client(backends, access, secret), bucket, "users/a")


@has_administration
def test_it_administers_nothing(backends: Backends) -> None:
    env = backends.stack.env
    own = admin(env["S3_ENDPOINT"], env["S3_ACCESS_KEY"], env["S3_SECRET_KEY"])
    with pytest.raises(Exception, match="AccessDenied"):
        own.user_add("one-more-key", "with-a-secret")
