"""What the files service removes: objects of deleted files, long gone rows, leftovers and orphans."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from time import time
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from aiohttp.test_utils import make_mocked_request
from prometheus_client import CollectorRegistry, Counter

from services.files.downloads import Downloads
from services.files.links import Links
from services.files.repository.files import Files
from services.files.repository.sweeps import SweepRows
from services.files.service.files import FileService
from services.files.sweep import DeletedObjects, GoneRows, Strays
from services.kit.cache import NoCache
from services.kit.db import Database, open_database
from services.kit.errors import Fault
from services.kit.metrics import DatabaseMetrics, base_registry
from services.kit.s3 import NotFoundError, S3Client
from services.kit.sweeping import Scope, Turn
from tests.integration.files.conftest import Answer, Api, registration

pytestmark = pytest.mark.integration


async def sweep(api: Api, **query: Any) -> dict[str, int]:
    answer = await api("POST", "/internal/sweep", as_operator=True, params=query)
    assert answer.status == 200, answer.json
    assert set(answer.json) == {"dry_run", "counts", "bytes"}
    counts: dict[str, int] = answer.json["counts"]
    return counts


async def there(api: Api, key: str) -> bool:
    try:
        await api.store.head(key)
    except NotFoundError:
        return False
    return True


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_whoever_read_the_row_before_a_delete_hears_that_the_file_is_gone(
    api: Api, user: UUID, method: str
) -> None:
    file_id = await api.store_file(user, b"bytes")
    files = Files(Database(api.database, DatabaseMetrics(CollectorRegistry())))
    service = FileService(files, {}, api.store, Links(api.store, 600, time, lambda _: None), NoCache())
    sent = Counter("sent_bytes", "of this test", registry=CollectorRegistry())
    file = await service.readable(file_id, user)
    await api("DELETE", f"/f/{file_id}", user)
    assert await sweep(api, users=str(user), older_than_s="0") == {"object": 1}
    with pytest.raises(Fault, match="file_not_found"):
        await Downloads(service, sent, limit=1, places=1).send(make_mocked_request(method, "/"), file, user)


async def test_the_object_of_a_deleted_file_goes(api: Api, user: UUID) -> None:
    kept, gone = [await api.store_file(user, b"bytes") for _ in range(2)]
    await api("DELETE", f"/f/{gone}", user)
    mine = {"users": str(user)}
    assert await sweep(api, **mine) == {}  # within the time of grace
    now = {**mine, "older_than_s": "0"}
    assert await sweep(api, **now, dry_run="1") == {"object": 1}
    assert await there(api, f"users/{user}/{gone}")
    assert await sweep(api, **now) == {"object": 1}
    assert not await there(api, f"users/{user}/{gone}")
    assert await there(api, f"users/{user}/{kept}")
    assert await sweep(api, **now) == {}


async def test_others_are_left_alone(api: Api, user: UUID) -> None:
    gone = await api.store_file(user, b"bytes")
    await api("DELETE", f"/f/{gone}", user)
    assert await sweep(api, users=str(uuid4()), older_than_s="0") == {}
    assert await there(api, f"users/{user}/{gone}")


async def test_orphans_are_counted_and_stay(api: Api, user: UUID) -> None:
    key = f"users/{user}/{uuid4()}"
    await api.store.put_bytes(key, b"nobody's")
    assert await sweep(api, users=str(user)) == {}  # younger than a day
    assert await sweep(api, users=str(user), older_than_s="0") == {}  # its row may be on the way
    quiet = {"older_than_s": "0", "unknown_older_than_s": "0"}
    assert await sweep(api, users=str(user), **quiet) == {"orphan": 1}
    assert await there(api, key)


async def test_bytes_that_come_late_for_a_given_up_id_are_no_orphan(api: Api, user: UUID) -> None:
    file_id = uuid4()
    await api("POST", f"/internal/file/{file_id}/void", as_upload=True)
    await api.store.put_bytes(f"users/{user}/{file_id}", b"late")
    assert await sweep(api, users=str(user), older_than_s="0") == {"object": 1}
    assert not await there(api, f"users/{user}/{file_id}")


async def test_an_overwritten_deleted_file_goes_too(api: Api, user: UUID) -> None:
    """A presigned PUT outlives the deletion of its file and the first sweep."""
    file_id = await api.store_file(user, b"bytes")
    await api("DELETE", f"/f/{file_id}", user)
    await sweep(api, users=str(user), older_than_s="0")
    await api.store.put_bytes(f"users/{user}/{file_id}", b"late")
    assert await sweep(api, users=str(user), older_than_s="0") == {"object": 1}
    assert not await there(api, f"users/{user}/{file_id}")


@pytest.fixture
async def rows(api: Api) -> AsyncIterator[SweepRows]:
    """The database of the process, for steps with other settings than its own."""
    async with open_database(api.database_url, "test", DatabaseMetrics(base_registry())) as database:
        yield SweepRows(database)


async def test_an_orphan_is_deleted_once_nothing_can_register_it(
    api: Api, user: UUID, rows: SweepRows
) -> None:
    orphan, foreign = uuid4(), f"users/{user}/no-id"
    await api.store.put_bytes(f"users/{user}/{orphan}", b"nobody's")
    await api.store.put_bytes(foreign, b"of no upload")
    kept = await api.store_file(user, b"bytes")
    strays = Strays(rows, api.store, grace_s=0, orphan_age_s=0, delete=True)
    turn = Turn(Scope(unknown_older_than_s=0, users=frozenset({user})))
    await strays.sweep(turn)
    assert turn.counts == {"orphan": 2}
    assert turn.size_bytes == {"orphan": 20}
    assert [await there(api, key) for key in (f"users/{user}/{orphan}", foreign)] == [False, False]
    assert await there(api, f"users/{user}/{kept}")
    late = await api("POST", "/internal/file", as_upload=True, json=registration(user, orphan))
    assert late.status == 409


async def test_a_timed_sweep_goes_through_everything_in_stretches(
    api: Api, user: UUID, rows: SweepRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.files.sweep.PAGE", 1)
    for _ in range(5):
        await api.store.put_bytes(f"users/{user}/{uuid4()}", b"nobody's")
    objects = len(await api.store.list_objects("users/"))
    strays = Strays(rows, api.store, grace_s=1e6, orphan_age_s=0, delete=False)
    turns = [Turn(Scope(unknown_older_than_s=0, thorough=False)) for _ in range(-(-objects // 4) + 1)]
    for turn in turns:
        await strays.sweep(turn)
        assert turn.counts["orphan"] <= 4
    assert sum(turn.counts["orphan"] for turn in turns) >= 5


async def test_rows_of_gone_files_are_forgotten_after_their_time(
    api: Api, user: UUID, rows: SweepRows
) -> None:
    file_id = await api.store_file(user, b"bytes")
    await api("DELETE", f"/f/{file_id}", user)
    await sweep(api, users=str(user), older_than_s="0")
    young, old = GoneRows(rows, 2_592_000), GoneRows(rows, 0)
    mine = Scope(older_than_s=0, users=frozenset({user}))
    for step, scope, expected in (
        (young, mine, {}),  # no operator's age applies
        (old, replace(mine, dry_run=True), {"row": 1}),
        (old, mine, {"row": 1}),
        (old, mine, {}),
    ):
        turn = Turn(scope)
        await step.sweep(turn)
        assert turn.counts == expected
    assert await api.database.fetchval("SELECT count(*) FROM files WHERE file_uuid = $1", file_id) == 0


async def test_an_object_that_cannot_be_deleted_is_tried_again(api: Api, user: UUID, rows: SweepRows) -> None:
    stays, goes = [await api.store_file(user, b"bytes") for _ in range(2)]
    for file_id in (stays, goes):
        await api("DELETE", f"/f/{file_id}", user)

    class Refusing:
        async def delete_many(self, keys: Sequence[str]) -> dict[str, str]:
            await api.store.delete_many([key for key in keys if not key.endswith(str(stays))])
            return {f"users/{user}/{stays}": "AccessDenied"}

    scope = Scope(users=frozenset({user}))
    turn = Turn(scope)
    await DeletedObjects(rows, cast(S3Client, Refusing()), 0).sweep(turn)
    assert turn.counts == {"object": 1}
    again = Turn(scope)
    await DeletedObjects(rows, api.store, 0).sweep(again)
    assert again.counts == {"object": 1}
    assert not await there(api, f"users/{user}/{stays}")


@pytest.mark.parametrize(
    "query",
    [
        {"dry_run": "2"},
        {"older_than_s": "-1"},
        {"older_than_s": ""},
        {"unknown_older_than_s": "x"},
        {"older_than": "5"},
        {"users": "x"},
    ],
)
async def test_bad_questions(api: Api, query: dict[str, str]) -> None:
    answer: Answer = await api("POST", "/internal/sweep", as_operator=True, params=query)
    assert answer.status == 400


@pytest.mark.parametrize("as_upload", [False, True])
async def test_only_the_operator_may_ask(api: Api, as_upload: bool) -> None:
    answer = await api("POST", "/internal/sweep", as_upload=as_upload)
    assert (answer.status, answer.json["error"]) == (401, "service_credential_invalid")
