"""Places of stacks beside a testbed: what they share, what they have alone, what killed ones leave."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose import credentials, postgres, scaling, settings
from compose.beside import leftovers
from compose.beside.base import Base
from compose.beside.data import Names
from compose.beside.place import Place, Wish, draw
from compose.beside.revisions import RevisionError, commit_of
from compose.cores import cores
from compose.part import Part

pytestmark = pytest.mark.unit

FOUND = {
    "POSTGRES_BIN_DIR": "/usr/bin",
    "PGBOUNCER_BIN": "/bin/true",
    "PGBOUNCER_VERSION": "1",
    "REDIS_BIN": "/bin/true",
    "REDIS_VERSION": "7",
    "NGINX_BIN": "/bin/true",
    "NGINX_VERSION": "1",
    "MINIO_BIN": "/bin/true",
    "MINIO_VERSION": "1",
}
SECRETS = credentials.generate()
BASE = Base(Path("/testbed/.run"), {**settings.read({}).env, **SECRETS}, ours=False)


@pytest.fixture(autouse=True)
def nothing_stays_outside(tmp_path: Path) -> Iterator[None]:
    """As root, what other accounts must reach is below /var/lib."""
    yield
    for number in range(2):
        shutil.rmtree(postgres.home(tmp_path / f"stack-{number}"), ignore_errors=True)


def placed(folder: Path, *wishes: Wish, own_store: bool = False) -> list[Place]:
    return draw(folder, "vb_ab_123456", wishes, own_store=own_store)


def parts(place: Place, wish: Wish, *, own_store: bool = False) -> dict[str, Part]:
    env = place.env(BASE, wish, FOUND, own_store=own_store)
    return {part.name: part for part in place.parts(env, wish, None, own_store=own_store)}


def test_no_port_is_given_twice_and_none_is_the_testbed_s(tmp_path: Path) -> None:
    wishes = (Wish(), Wish({"TOPOLOGY": scaling.SCALED, "REPLICAS": "3"}))
    several = placed(tmp_path, *wishes)
    ports = [port for place in several for port in place.ports.values()]
    assert len(set(ports)) == len(ports)
    taken = {value for name, value in BASE.env.items() if name.endswith("_PORT")}
    assert not taken & set(ports)
    assert "UPLOAD_3_ADMIN_PORT" in several[0].ports, "every arm fits into every place"


def test_a_stack_has_the_four_services_with_databases_and_a_bucket_of_its_own(tmp_path: Path) -> None:
    (place,) = placed(tmp_path, Wish())
    found = parts(place, Wish())
    assert sorted(found) == sorted(
        name
        for service in scaling.REPLICATED
        for name in scaling.parts_of(scaling.counts({}, cores()), service)
    )
    upload = found["upload"].env
    assert upload["DATABASE_URL"].endswith(f":{BASE.env['PG_UPLOAD_PORT']}/vb_ab_123456_0_upload")
    assert upload["DATABASE_DIRECT_URL"].endswith("/vb_ab_123456_0_upload")
    assert upload["S3_BUCKET"] == "vb-ab-123456-0"
    assert upload["S3_ENDPOINT"] == f"http://127.0.0.1:{BASE.env['S3_PORT']}"


def test_roles_are_the_clusters_and_every_other_secret_is_new(tmp_path: Path) -> None:
    (place,) = placed(tmp_path, Wish())
    env = place.env(BASE, Wish(), FOUND, own_store=False)
    shared = {name for name in SECRETS if env[name] == SECRETS[name]}
    assert shared == {name for name in SECRETS if name.startswith(("PG_", "DB_", "MINIO_ROOT_"))}


def test_a_setting_is_for_the_processes_of_one_service(tmp_path: Path) -> None:
    wish = Wish(processes={"upload": {"DB_POOL_MAX": "7"}})
    (place,) = placed(tmp_path, wish)
    found = parts(place, wish)
    assert found["upload"].env["DB_POOL_MAX"] == "7"
    assert "DB_POOL_MAX" not in found["files"].env


def test_who_did_not_ask_for_redis_does_not_use_it_because_another_does(tmp_path: Path) -> None:
    wish = Wish(processes={"files": {"CACHE": "redis"}})
    (place,) = placed(tmp_path, wish)
    found = parts(place, wish)
    assert "redis" in found
    assert (found["files"].env["CACHE"], found["upload"].env["CACHE"]) == ("redis", "none")


def test_a_store_is_there_only_where_it_is_compared(tmp_path: Path) -> None:
    wish = Wish({"STORE": "minio"})
    (place,) = placed(tmp_path, wish, own_store=True)
    found = parts(place, wish, own_store=True)
    assert {"minio", "store-key"} <= set(found)
    assert found["upload"].env["S3_ENDPOINT"] == f"http://127.0.0.1:{place.ports['S3_PORT']}"


def test_urls_are_signed_for_the_way_that_clients_take(tmp_path: Path) -> None:
    wish = Wish(public_store="http://127.0.0.1:7")
    (place,) = placed(tmp_path, wish)
    assert parts(place, wish)["upload"].env["S3_PUBLIC_ENDPOINT"] == "http://127.0.0.1:7"


def test_names_begin_with_the_word_of_the_comparison() -> None:
    names = Names("vb_ab_123456_1")
    assert (names.database("auth"), names.bucket) == ("vb_ab_123456_1_auth", "vb-ab-123456-1")


class TestLeftovers:
    def test_a_folder_is_stale_when_nobody_holds_its_lock(self, tmp_path: Path) -> None:
        with leftovers.owned_folder(tmp_path) as folder:
            assert leftovers.stale(tmp_path) == []
        assert leftovers.stale(tmp_path) == [folder]

    def test_a_folder_without_a_lock_is_just_being_made(self, tmp_path: Path) -> None:
        (tmp_path / leftovers.FOLDER / "vb_ab_abcdef").mkdir(parents=True)
        assert leftovers.stale(tmp_path) == []

    def test_what_is_in_databases_that_do_not_run_waits_for_them(self, tmp_path: Path) -> None:
        with leftovers.owned_folder(tmp_path) as folder:
            pass
        now = settings.read({"VAULTBENCH_RUN_DIR": str(tmp_path)})
        (line,) = leftovers.remove_all(now)
        assert folder.name in line and "once the testbed runs" in line
        assert folder.exists()

    def test_a_comparison_that_lives_is_left_alone(self, tmp_path: Path) -> None:
        folder = tmp_path / leftovers.FOLDER / "vb_ab_abcdef"
        folder.mkdir(parents=True)
        with (folder / leftovers.LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert leftovers.remove_all(settings.read({"VAULTBENCH_RUN_DIR": str(tmp_path)})) == []


@pytest.mark.parametrize("name", ["no-such-branch", "--help", ""])
def test_what_is_no_revision(name: str) -> None:
    with pytest.raises(RevisionError, match="there is no revision"):
        commit_of(name)
