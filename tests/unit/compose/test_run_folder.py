"""Nothing of somebody else is deleted or taken over: files, folders, containers, volumes, settings, tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Self

import pytest

from compose import clean, credentials, envfile, run_folder, settings
from compose.installer import cache
from compose.installer.cache import ToolError
from compose.run_folder import ForeignFolder
from compose.settings import ROOT, Settings
from tests.unit.compose.choice import DOCKER, WORKS, Desk, new_desk

pytestmark = pytest.mark.unit

MADE = ("logs", "s3", "pg")
PS = """case "$1 $*" in
"ps "*--format*) printf %s "${FAKE_PS-}" ;;
"ps "*) [ -z "${FAKE_PS-}" ] || echo 0123456789ab ;;
esac
"""
DOCKER_THAT_HAS = DOCKER.replace('case "$1', PS + 'case "$1', 1)


def read(tmp_path: Path, **more: str) -> Settings:
    places = {"VAULTBENCH_RUN_DIR": str(tmp_path / "run"), "VAULTBENCH_ENV_FILE": str(tmp_path / "env")}
    return settings.read({"PATH": os.environ["PATH"], "HOME": str(tmp_path), **places, **more})


def cleaned(now: Settings, *, everything: bool = False) -> list[str]:
    said: list[str] = []
    clean.clean(now, everything=everything, say=said.append)
    return said


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = new_desk(tmp_path)
    made.put("docker", DOCKER_THAT_HAS)
    return made


def filled(folder: Path) -> None:
    for name in MADE:
        (folder / name).mkdir()
        (folder / name / "file").write_text("x")


class TestRunFolder:
    def test_one_of_our_own_goes_as_a_whole(self, tmp_path: Path) -> None:
        now = read(tmp_path)
        run_folder.own(now.run_dir)
        filled(now.run_dir)
        assert cleaned(now)[0].startswith(f"deleting {now.run_dir} (")
        assert not now.run_dir.exists()

    def test_a_foreign_file_and_a_foreign_folder_in_it_stay(self, tmp_path: Path) -> None:
        now = read(tmp_path)
        run_folder.own(now.run_dir)
        filled(now.run_dir)
        (now.run_dir / "thesis.odt").write_text("three years of work")
        (now.run_dir / "photos").mkdir()
        assert cleaned(now)[-1] == f"kept {now.run_dir}: photos, thesis.odt are not ours"
        assert sorted(path.name for path in now.run_dir.iterdir()) == ["photos", "thesis.odt"]

    def test_one_that_was_there_empty_stays(self, tmp_path: Path) -> None:
        now = read(tmp_path)
        now.run_dir.mkdir()
        run_folder.own(now.run_dir)
        filled(now.run_dir)
        cleaned(now)
        assert list(now.run_dir.iterdir()) == []

    def test_one_that_holds_anything_is_never_taken(self, tmp_path: Path) -> None:
        now = read(tmp_path)
        now.run_dir.mkdir()
        (now.run_dir / "logs").mkdir()  # ours has one of this name, too
        with pytest.raises(
            ForeignFolder, match=r"it holds logs\. VAULTBENCH_RUN_DIR names a new or an empty"
        ):
            run_folder.own(now.run_dir)
        with pytest.raises(clean.NotOurs, match="carries no mark"):
            cleaned(now)
        assert (now.run_dir / "logs").exists()

    def test_one_of_an_older_version_is_known_by_its_records(self, tmp_path: Path) -> None:
        now = read(tmp_path)
        now.run_dir.mkdir()
        (now.run_dir / "ports.env").touch()
        run_folder.own(now.run_dir)
        cleaned(now)
        assert not now.run_dir.exists()

    def test_behind_a_link_ours_goes_and_the_link_stays(self, tmp_path: Path) -> None:
        now, disk = read(tmp_path), tmp_path / "disk"
        disk.mkdir()
        now.run_dir.symlink_to(disk)
        run_folder.own(now.run_dir)
        filled(now.run_dir)
        cleaned(now)
        assert list(disk.iterdir()) == []
        assert now.run_dir.is_symlink()

    def test_a_process_of_somebody_else_lives_on(self, tmp_path: Path) -> None:
        now = read(tmp_path)
        run_folder.own(now.run_dir)
        with subprocess.Popen(["sleep", "60"]) as theirs:
            row = {"pid": theirs.pid, "start_ticks": 1}  # an id that was ours once
            (now.run_dir / "state.json").write_text(json.dumps({"parts": {"upload": row}}))
            cleaned(now)
            assert theirs.poll() is None
            theirs.kill()

    def test_sh_says_and_does_the_same(self, desk: Desk) -> None:
        desk.run_dir.mkdir()
        (desk.run_dir / "logs").mkdir()
        refused = desk.script("own_run_folder")
        assert refused.returncode == 1
        assert (
            f"{desk.run_dir} is no run folder: it holds logs. VAULTBENCH_RUN_DIR names a new"
            in refused.stderr
        )
        desk.record("compose")
        assert desk.script("own_run_folder").returncode == 0
        (desk.run_dir / "thesis.odt").touch()
        said = desk.make("clean", **WORKS)
        assert f"kept {desk.run_dir}: thesis.odt is not ours" in said.stdout, said.stderr
        assert [path.name for path in desk.run_dir.iterdir()] == ["thesis.odt"]
        refused = desk.make("clean", **WORKS)
        assert "carries no mark of a testbed" in refused.stderr


class TestSecretsFile:
    def test_one_that_holds_more_than_ours_stays(self, tmp_path: Path) -> None:
        now = read(tmp_path)
        now.secrets_file.write_text("DATABASE_URL=theirs\n")
        credentials.ensure(now.secrets_file, {}, data_exists=False)
        assert cleaned(now, everything=True)[-1] == f"kept {now.secrets_file}: DATABASE_URL is not ours"
        assert envfile.read(now.secrets_file)["DATABASE_URL"] == "theirs"

    def test_in_sh_as_well(self, desk: Desk) -> None:
        desk.script("ensure_secrets", **WORKS)
        desk.secrets.write_text(desk.secrets.read_text() + "DATABASE_URL=theirs\n")
        assert f"kept {desk.secrets}: DATABASE_URL not ours" in desk.script("remove_secrets").stdout
        desk.secrets.write_text(desk.secrets.read_text().replace("DATABASE_URL=theirs\n", ""))
        assert desk.script("remove_secrets").stdout == f"deleting {desk.secrets}\n"
        assert not desk.secrets.exists()


class TestContainers:
    def ours(self, desk: Desk) -> str:
        return f"vaultbench-gateway-1|{desk.run_dir}|{ROOT}/compose\n"

    @pytest.mark.parametrize("command", ["up", "down", "clean", "status", "roll"])
    def test_those_of_another_program_are_never_touched(self, desk: Desk, command: str) -> None:
        desk.record("compose")
        theirs = "myapp-web-1||/srv/myapp\n"
        done = desk.make(
            command, COMPOSE_PROJECT_NAME="myapp", FAKE_PS=theirs, FAKE_VOLUMES="myapp_pg-auth", **WORKS
        )
        assert done.returncode != 0
        assert "The Compose project 'myapp' has containers that are not of the testbed in" in done.stderr
        asked = (desk.folder / "calls").read_text().splitlines()
        assert not [line for line in asked if line.startswith(("rm", "volume rm", "compose -p"))]

    def test_those_of_another_checkout_are_named(self, desk: Desk) -> None:
        desk.record("compose")
        other = desk.folder / "other"
        other.mkdir()
        done = desk.make("down", FAKE_PS=f"vaultbench-gateway-1|{other}|/x\n", **WORKS)
        assert f"(vaultbench-gateway-1, of {other})" in done.stderr

    def test_ours_are_known_by_run_folder_or_by_checkout(self, desk: Desk) -> None:
        for folder in (desk.run_dir, ""):
            shown = f"vaultbench-gateway-1|{folder}|{ROOT}/compose\n"
            assert desk.script("own_project", FAKE_PS=shown, **WORKS).returncode == 0

    def test_another_name_than_that_of_the_run_folder_is_refused(self, desk: Desk) -> None:
        desk.record("compose")
        (desk.run_dir / "project").write_text("second\n")
        assert (
            "is the Compose project 'second', not 'third'"
            in desk.make("down", COMPOSE_PROJECT_NAME="third", **WORKS).stderr
        )
        assert desk.script("echo $PROJECT").stdout == "second\n", "nobody has to say it again"

    def test_volumes_are_ours_by_name_and_by_record(self, desk: Desk) -> None:
        desk.record("compose")
        mixed = "second_pg-auth second_pgdata second_grafana"
        found = "volumes; own_volumes"
        assert desk.script("volumes", COMPOSE_PROJECT_NAME="second", FAKE_VOLUMES=mixed, **WORKS).stdout == ""
        refused = desk.script(found, COMPOSE_PROJECT_NAME="second", FAKE_VOLUMES=mixed, **WORKS)
        assert "did not make (second_pg-auth, second_grafana)" in refused.stderr
        (desk.run_dir / "project").write_text("second\n")
        assert desk.script(found, FAKE_VOLUMES=mixed, **WORKS).stdout.split() == [
            "second_pg-auth",
            "second_grafana",
        ]

    def test_images_that_somebody_named_stay(self, desk: Desk) -> None:
        desk.record("compose")
        desk.put("docker", DOCKER_THAT_HAS.replace('"image inspect") exit 1', '"image inspect") exit 0'))
        said = desk.make("tools-clean", SERVICE_IMAGE="postgres:16", **WORKS).stdout
        assert "deleting the image vaultbench/service" in said
        assert "postgres" not in said


class TestTools:
    def test_only_what_the_installer_made_is_deleted(self, tmp_path: Path) -> None:
        now = read(tmp_path, VAULTBENCH_TOOLS=str(tmp_path / "tools"))
        ours = {"name": "k6", "version": "1", "source": "x", "program": "bin/k6", "sha256": "0"}
        for place, record in {"k6/1-x": ours, "extension/src": {"name": "mine"}, "k6/mine": [1]}.items():
            (tmp_path / "tools" / place).mkdir(parents=True)
            (tmp_path / "tools" / place / "manifest.json").write_text(json.dumps(record))
        for name in (".build", ".buildkit", ".logs", ".logseq"):
            (tmp_path / "tools" / name).mkdir()
        (tmp_path / "tools" / ".lock-k6").touch()
        clean.clean_tools(now, say=lambda _: None)
        left = {
            str(path.relative_to(tmp_path / "tools"))
            for path in (tmp_path / "tools").rglob("*")
            if path.is_dir()
        }
        assert left == {"extension", "extension/src", "k6", "k6/mine", ".buildkit", ".logseq"}
        assert not [*(tmp_path / "tools").glob(".lock-*")]

    def test_while_one_is_installed_nothing_is_deleted(self, tmp_path: Path) -> None:
        now = read(tmp_path, VAULTBENCH_TOOLS=str(tmp_path))
        (tmp_path / ".build" / "k6.1").mkdir(parents=True)
        with Locker(tmp_path, "k6") as other:
            assert other.says() == "holds"
            with pytest.raises(ToolError, match="k6: being installed in"):
                clean.clean_tools(now, say=lambda _: None)
            assert (tmp_path / ".lock-k6").exists()

    def test_who_waits_while_all_is_deleted_installs_alone(self, tmp_path: Path) -> None:
        """A waiter that got the deleted file would not see one who comes later, and both would install."""
        now = read(tmp_path, VAULTBENCH_TOOLS=str(tmp_path))
        (tmp_path / ".build").mkdir()
        waiting: list[Locker] = []

        def deleting(_: str) -> None:
            waiting.append(Locker(tmp_path, "k6"))
            assert "k6: waiting for process" in waiting[0].says(), "a lock that was not there yet is held"

        clean.clean_tools(now, say=deleting)
        with waiting[0] as first:
            assert first.says() == "holds"
            with Locker(tmp_path, "k6") as second:
                assert f"k6: waiting for process {first.pid}, which installs it" in second.says()
                first.ends()
                assert second.says() == "holds"

    @pytest.mark.parametrize("how", [cache.taken, cache.Use])
    def test_a_lock_file_that_was_deleted_between_opening_and_locking_is_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: Callable[[Path, str], Any]
    ) -> None:
        deleted: list[IO[str]] = []

        def opening(folder: Path, name: str) -> IO[str]:
            file = (folder / f".lock-{name}").open("a+")
            if not deleted:
                deleted.append(file)
                (folder / f".lock-{name}").unlink()
            return file

        monkeypatch.setattr(cache, "_opened", opening)
        held = how(tmp_path, "go")
        with Locker(tmp_path, "go") as other:
            assert "go: waiting for process" in other.says()
            held.close() if how is cache.taken else held.end(lambda: None)
            assert other.says() == "holds"


LOCKER = """
import sys, threading
from pathlib import Path
from compose.installer import cache

def say(text):
    print(text, flush=True)

with cache.lock(Path(sys.argv[1]), sys.argv[2], say, threading.Event()):
    say("holds")
    sys.stdin.read()
"""


class Locker:
    """Another process that takes a lock and keeps it until its input ends."""

    def __init__(self, folder: Path, name: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-c", LOCKER, str(folder), name],
            cwd=settings.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._child.pid

    def says(self) -> str:
        assert self._child.stdout
        return self._child.stdout.readline().strip()

    def ends(self) -> None:
        self._child.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child.poll() is None:
            self.ends()
