"""What the tests of ends of uploads share: time that has passed, sweeps, and looks at what is left."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from services.kit.db import Statement
from services.kit.s3 import NotFoundError
from services.kit.sweeping import UNKNOWN_S, Scope, Sweeper
from services.upload.assembly import build_sweeper
from tests.integration.upload.conftest import Bench


async def change(bench: Bench, upload: UUID, assignments: str) -> None:
    """Change an upload's row behind the service's back."""
    sql = f"UPDATE upload_sessions SET {assignments} WHERE upload_uuid = $1"  # noqa: S608 - of the tests
    assert await bench.database.execute(Statement("test", sql), upload) == 1


async def expire(bench: Bench, upload: UUID) -> None:
    await change(bench, upload, "expires_at = now() - interval '1 s'")


async def there(bench: Bench, upload: UUID) -> bool:
    """Whether there is an object at the upload's final key."""
    try:
        await bench.store.head(f"users/{bench.user_id}/{upload}")
    except NotFoundError:
        return False
    return True


def sweeper_of(bench: Bench) -> Sweeper:
    return build_sweeper(bench.base, bench.registry)


async def swept(
    bench: Bench,
    *,
    older_than_s: float | None = None,
    unknown_older_than_s: float = UNKNOWN_S,
    dry_run: bool = False,
) -> Counter[str]:
    """One sweep of this bench's user: what it removed, by kind."""
    scope = Scope(dry_run, older_than_s, unknown_older_than_s, frozenset({bench.user_id}))
    return (await sweeper_of(bench).run(scope)).counts
