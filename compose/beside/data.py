"""Databases in the clusters and a bucket in the store that belong to one stack: made, emptied, taken away.

Their names begin with the comparison's own word, so that whatever a killed run left is known by its name.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass

import asyncpg
from minio import Minio, MinioAdmin
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from compose import postgres, store, store_key
from compose.roles import give_roles

CONNECT_S, STATEMENT_S = 10.0, 60.0
FORCED = {"x-minio-force-delete": "true"}  # MinIO's own: a bucket with everything in it
_DATABASES = "SELECT datname FROM pg_database WHERE starts_with(datname, $1)"
# MinIO lists open multipart uploads by exact key only; the rows know the keys.
_MULTIPARTS = "SELECT storage_key, storage_upload_id FROM upload_sessions WHERE storage_upload_id IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Names:
    """What a stack has in the shared parts. `word` begins all of them."""

    word: str

    def database(self, service: str) -> str:
        return f"{self.word}_{service}"

    @property
    def bucket(self) -> str:
        return self.word.replace("_", "-")

    def databases(self) -> dict[str, str]:
        """By the variable of the start-up that names each."""
        return {f"PG_{name.upper()}_DATABASE": self.database(name) for name in postgres.DATABASES}


async def make_databases(env: Mapping[str, str], stacks: Iterable[Names]) -> None:
    """Empty databases with their roles, in place of those there were; the three clusters at the same time.

    Raises:
        OSError, asyncpg.PostgresError: a cluster is not there or refuses (a full disk).
    """
    several = list(stacks)

    async def in_cluster(service: str) -> None:
        for names in several:  # roles belong to the cluster: two who change one at once fail
            await _replace(env, service, names.database(service))

    await asyncio.gather(*map(in_cluster, postgres.DATABASES))


async def drop_databases(env: Mapping[str, str], word: str) -> list[str]:
    """Everything whose name begins with `word`; which it was."""
    gone: list[str] = []
    for service in postgres.DATABASES:
        async with _cluster(env, service) as admin:
            names = [row["datname"] for row in await admin.fetch(_DATABASES, f"{word}_")]
            for name in names:
                await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            gone += names
    return gone


async def _replace(env: Mapping[str, str], service: str, name: str) -> None:
    async with _cluster(env, service) as admin:
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await admin.execute(f'CREATE DATABASE "{name}"')
    upper = service.upper()
    passwords = {
        "service": env[f"DB_{upper}_PASSWORD"],
        "migrator": env[f"DB_{upper}_MIGRATOR_PASSWORD"],
        "monitor": env["DB_MONITOR_PASSWORD"],
    }
    await give_roles(_url(env, service, name), passwords)


def _url(env: Mapping[str, str], service: str, database: str) -> str:
    upper = service.upper()
    return f"postgresql://app:{env[f'PG_{upper}_PASSWORD']}@127.0.0.1:{env[f'PG_{upper}_PORT']}/{database}"


@contextlib.asynccontextmanager
async def _cluster(env: Mapping[str, str], service: str) -> AsyncIterator[asyncpg.Connection]:
    """The administrator's connection to a cluster."""
    url = _url(env, service, postgres.DATABASES[service])
    connection = await asyncpg.connect(url, timeout=CONNECT_S, command_timeout=STATEMENT_S)
    try:
        yield connection
    finally:
        await connection.close()


async def free_connections(env: Mapping[str, str], service: str) -> int:
    """How many more connections a cluster takes now."""
    async with _cluster(env, service) as admin:
        most = int(await admin.fetchval("SHOW max_connections"))
        return most - int(await admin.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname <> ''"))


async def open_multiparts(env: Mapping[str, str], names: Names) -> list[tuple[str, str]]:
    """Keys and ids of the store's multipart uploads that a stack's rows know."""
    url = _url(env, "upload", names.database("upload"))
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_S, command_timeout=STATEMENT_S)
    except asyncpg.InvalidCatalogNameError:
        return []
    try:
        rows = await connection.fetch(_MULTIPARTS)
    except asyncpg.UndefinedTableError:
        return []
    finally:
        await connection.close()
    return [(row["storage_key"], row["storage_upload_id"]) for row in rows]


def root_client(env: Mapping[str, str]) -> Minio:
    """The store's root."""
    return Minio(
        f"127.0.0.1:{env['S3_PORT']}",
        access_key=env["MINIO_ROOT_USER"],
        secret_key=env["MINIO_ROOT_PASSWORD"],
        secure=False,
        region=env["S3_REGION"],
    )


def give_key(env: Mapping[str, str], names: Names, access_key: str, secret_key: str) -> None:
    """A key for this bucket alone, where the store has keys that are given while it runs."""
    if store.chosen(env) == store.MINIO:
        store_key.give_key(_admin(env), names.bucket, access_key, secret_key, policy_name=names.bucket)


def make_bucket(env: Mapping[str, str], names: Names, access_key: str) -> None:
    """An empty bucket that the key may use; the services' own may not make one."""
    root = root_client(env)
    store_key.make_bucket(root, names.bucket)
    if store.chosen(env) != store.MINIO:  # it knows its keys from its start: the bucket lets them in
        store_key.open_bucket(root, names.bucket, access_key)


def take_keys(env: Mapping[str, str], word: str) -> None:
    """The keys of a comparison's buckets and their policies."""
    if store.chosen(env) != store.MINIO:
        return
    admin, prefix = _admin(env), f"{word.replace('_', '-')}-"
    for key in json.loads(admin.user_list()):
        if key.startswith(prefix):
            admin.user_remove(key)
    for policy in json.loads(admin.policy_list()):
        if policy.startswith(prefix):
            admin.policy_remove(policy)


def _admin(env: Mapping[str, str]) -> MinioAdmin:
    url = f"http://127.0.0.1:{env['S3_PORT']}"
    return store_key.admin(url, env["MINIO_ROOT_USER"], env["MINIO_ROOT_PASSWORD"])


def remove_bucket(client: Minio, bucket: str, multiparts: Iterable[tuple[str, str]]) -> bool:
    """The bucket with all objects and open multipart uploads; False when there is none."""
    if not client.bucket_exists(bucket):
        return False
    for key, upload_id in multiparts:
        with contextlib.suppress(S3Error):  # finished or aborted meanwhile
            client._abort_multipart_upload(bucket, key, upload_id)
    with contextlib.suppress(
        S3Error
    ):  # another store does not know the word, and a bucket with objects stays
        client._execute("DELETE", bucket, headers=dict(FORCED))
    if client.bucket_exists(bucket):
        _remove_each(client, bucket)
    return True


def _remove_each(client: Minio, bucket: str) -> None:
    for upload in client._list_multipart_uploads(bucket).uploads:
        client._abort_multipart_upload(bucket, upload.object_name, upload.upload_id or "")
    keys: Iterator[DeleteObject] = (
        DeleteObject(item.object_name or "") for item in client.list_objects(bucket, recursive=True)
    )
    for error in client.remove_objects(bucket, keys):
        raise OSError(f"{bucket}/{error.name} stays in the store: {error.message}")
    client.remove_bucket(bucket)


def buckets(client: Minio, word: str) -> list[str]:
    """Buckets whose names begin with a comparison's word."""
    return [one.name for one in client.list_buckets() if one.name.startswith(f"{word.replace('_', '-')}-")]
