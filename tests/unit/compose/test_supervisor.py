"""The supervisor with real processes: order, gates, deaths, stops, the control socket, no orphans."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose import control, life, neighbours, ports, process, stack, unit
from compose.part import Probe
from tests.unit.compose.beds import ENV, Bed, python, runs, within

pytestmark = pytest.mark.unit

DEAF = (
    "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); "
    "time.sleep(600)"
)
TELLS_ARM = "import os,time; print(os.environ.get('ARM', 'none'), flush=True); time.sleep(600)"
PARENT = "import subprocess,time; subprocess.Popen(['sleep','600']); time.sleep(600)"


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    made = Bed(tmp_path / "run")
    yield made
    life.stop(made.run_dir)


class TestOrder:
    def test_a_part_waits_until_the_one_before_it_is_healthy(self, bed: Bed, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        first = runs("first", ready=Probe(exec=("test", "-e", str(gate)), env=ENV))
        bed.start(runs("second", after={"first": "healthy"}), first)
        bed.reaches("first", "starting")
        assert bed.row("second")["state"] == "waiting"
        gate.touch()
        bed.reaches("second", "healthy")
        assert bed.row("first")["healthy_after_s"] > 0

    def test_started_is_enough_when_that_is_asked(self, bed: Bed) -> None:
        never = Probe(exec=("false",), env=ENV)
        bed.start(runs("first", ready=never), runs("second", after={"first": "started"}))
        bed.reaches("second", "healthy")
        assert bed.row("first")["state"] == "starting"

    def test_a_oneshot_is_done_when_it_exits_well(self, bed: Bed) -> None:
        bed.start(runs("make", "true", oneshot=True), runs("use", after={"make": "done"}))
        bed.reaches("use", "healthy")
        assert bed.row("make")["state"] == "done"
        assert bed.row("make")["pid"] == 0

    def test_one_that_says_that_it_cannot_start_is_not_started_again(self, bed: Bed) -> None:
        said = "import sys; print('sorry: `make clean` helps', file=sys.stderr); sys.exit(78)"
        bed.start(python("sorry", said))
        row = bed.reaches("sorry", "failed")
        assert (row["detail"], row["restarts"]) == ("sorry: `make clean` helps", 0)

    def test_what_comes_after_a_lost_part_says_so(self, bed: Bed) -> None:
        never = Probe(exec=("false",), env=ENV)
        lost = runs("lost", "/no/such/program", restart="never", ready=never)
        bed.start(lost, runs("next", after={"lost": "healthy"}))
        row = bed.reaches("next", "not-started")
        assert row["detail"].startswith("lost: ")

    def test_stops_in_reverse_order(self, bed: Bed, tmp_path: Path) -> None:
        diary = tmp_path / "diary"
        code = (
            "import signal,sys,time\n"
            f"def end(*_): open({str(diary)!r},'a').write(sys.argv[0]+'NAME '); sys.exit(0)\n"
            "signal.signal(signal.SIGTERM, end)\nprint('armed', flush=True)\ntime.sleep(600)"
        )
        log = tmp_path / "run" / "logs"
        parts = []
        for name, after in (("a", ""), ("b", "a"), ("c", "b")):
            armed = Probe(exec=("grep", "-q", "armed", str(log / f"{name}.log")), env=ENV)
            own = code.replace("sys.argv[0]+'NAME '", f"'{name} '")
            parts.append(python(name, own, ready=armed, after={after: "healthy"} if after else {}))
        bed.start(*parts)
        bed.reaches("c", "healthy")
        life.stop(bed.run_dir)
        assert diary.read_text() == "c b a "


class TestDeaths:
    def test_a_part_that_dies_is_started_again_soon(self, bed: Bed) -> None:
        bed.start(runs("part"))
        pid = bed.reaches("part", "healthy")["pid"]
        os.kill(pid, signal.SIGKILL)
        assert within(lambda: bed.row("part")["pid"] not in (0, pid))
        assert bed.row("part")["restarts"] == 1

    def test_five_deaths_in_a_minute_are_given_up_with_the_last_words(self, bed: Bed) -> None:
        bed.start(python("part", "raise SystemExit('no luck')"))
        row = bed.reaches("part", "given-up")
        assert row["restarts"] == 4
        assert row["last_lines"][-1] == "no luck"

    def test_kills_through_the_socket_do_not_count(self, bed: Bed) -> None:
        bed.start(runs("part"))
        for count in range(1, 7):
            bed.reaches("part", "healthy")
            control.call(bed.run_dir, "kill", "part")
            assert within(lambda count=count: bed.row("part")["restarts"] == count)  # type: ignore[misc]
        bed.reaches("part", "healthy")

    def test_never_means_never(self, bed: Bed) -> None:
        bed.start(runs("part", "false", restart="never"))
        assert bed.reaches("part", "failed")["detail"] == "exit 1"


class TestLateAnswers:
    async def test_several_in_a_row_make_a_part_unhealthy_and_one_good_one_healthy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(unit, "LIVE_EVERY_S", 0)
        (tmp_path / "logs").mkdir()
        questions, answers = asyncio.Queue[str](), asyncio.Queue[int]()

        async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await questions.put(part.state)  # which the last answer made
            writer.write(f"HTTP/1.1 {await answers.get()} said\r\n\r\n".encode())
            writer.close()

        server = await asyncio.start_server(asked, "127.0.0.1")
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/live"
        probe = Probe(http=url, timeout_s=60, retries=3)
        part = unit.Unit(runs("part", live=probe), unit.Site(tmp_path, (), unit.Board(), {}))
        part.launch()
        states = []
        for status in (503, 503, 200, 503, 503, 503, 503, 200):
            states.append(await questions.get())
            await answers.put(status)
        states.append(await questions.get())
        await part.stop()
        await answers.put(200)
        server.close()
        await server.wait_closed()
        assert states == [*["healthy"] * 6, "unhealthy", "unhealthy", "healthy"]


class TestFullDisk:
    """`/dev/full` takes no byte: each write ends with the error of a full disk."""

    def test_the_supervisor_and_its_parts_live_on(self, bed: Bed) -> None:
        (bed.run_dir / "logs").mkdir(parents=True)
        for name in ("logs/supervisor.log", "logs/part.log"):
            (bed.run_dir / name).symlink_to("/dev/full")
        bed.start(runs("part"))
        pid = bed.reaches("part", "healthy")["pid"]
        (bed.run_dir / "state.tmp").unlink(missing_ok=True)
        (bed.run_dir / "state.tmp").symlink_to("/dev/full")
        os.kill(pid, signal.SIGKILL)
        assert within(lambda: bed.row("part")["pid"] not in (0, pid))
        control.call(bed.run_dir, "restart", "part")
        assert life.stop(bed.run_dir)


class TestOpenFiles:
    def test_parts_may_open_more_than_the_shell_that_started_them(self, bed: Bed) -> None:
        """A desktop's soft limit under a higher hard one."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            bed.start(
                python("part", "import resource as r; print(r.getrlimit(r.RLIMIT_NOFILE)[0])", oneshot=True)
            )
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        bed.reaches("part", "done")
        (said,) = control.last_lines(bed.run_dir, "part")
        assert int(said) == min(hard, process.OPEN_FILES)


class TestNeighbours:
    def test_another_testbed_is_listed_with_its_words_and_its_parts_are_known_as_its(self, bed: Bed) -> None:
        bed.run_dir.mkdir()
        (bed.run_dir / "ports.env").write_text("GATEWAY_URL=http://127.0.0.1:10000\n")
        (port,) = ports.free(1)
        serve = f"import http.server as h; h.HTTPServer(('127.0.0.1', {port}), None).serve_forever()"
        bed.start(python("part", serve, ready=Probe(tcp=port)))
        pid = bed.reaches("part", "healthy")["pid"]
        words = f"make status VAULTBENCH_RUN_DIR={bed.run_dir}"
        seen = [line for line in neighbours.lines(Path("/elsewhere")) if line.endswith(words)]
        supervisor = life.read_state(bed.run_dir)["supervisor_pid"]
        assert seen == [f"http://127.0.0.1:10000 (supervisor {supervisor}): {words}"]
        assert not [line for line in neighbours.lines(bed.run_dir) if line.endswith(words)]
        (taken,) = ports.busy([port])
        assert str(taken).startswith(f"port {port} is taken by the testbed in {bed.run_dir} (process {pid}: ")

    def test_what_its_runs_will_listen_on_is_nobody_elses(self, bed: Bed) -> None:
        """By shifts of 0 and 14, one's gateway is where runs of the other tell Prometheus of themselves."""
        bed.run_dir.mkdir()
        (port,) = ports.free(1)
        (bed.run_dir / "ports.env").write_text(f"HARNESS_METRICS_PORT={port}\n")
        assert ports.busy([port]) == []
        bed.start(runs("part"))
        bed.reaches("part", "healthy")
        (kept,) = ports.busy([port])
        assert str(kept) == f"port {port} is kept by the testbed in {bed.run_dir} for its runs"
        assert not ports.are_free({port: "127.0.0.1"})
        assert port not in ports.free(1)
        (other,) = ports.free(1)
        env = {"GATEWAY_PORT": str(port), "HARNESS_METRICS_PORT": str(other)}
        with pytest.raises(stack.StackError, match=rf"GATEWAY_PORT: port {port} is kept by the testbed in"):
            stack.check_ports([runs("gateway", ports=(port,))], env)

    def test_nor_do_runs_listen_where_another_testbed_does(self, bed: Bed) -> None:
        (port,) = ports.free(1)
        serve = f"import http.server as h; h.HTTPServer(('127.0.0.1', {port}), None).serve_forever()"
        with socket.create_server(("127.0.0.1", port)):
            stack.check_ports([], {"HARNESS_METRICS_PORT": str(port)})  # such as a run, which will end
        bed.start(python("part", serve, ready=Probe(tcp=port)))
        bed.reaches("part", "healthy")
        with pytest.raises(stack.StackError, match=rf"HARNESS_METRICS_PORT: port {port} is taken by the tes"):
            stack.check_ports([], {"HARNESS_METRICS_PORT": str(port)})


class TestControl:
    def test_restart_with_another_environment_lasts_until_one_without(self, bed: Bed) -> None:
        bed.start(
            python(
                "part", "import os,time; print(os.environ.get('ARM', 'none'), flush=True); time.sleep(600)"
            )
        )
        bed.reaches("part", "healthy")
        said = bed.run_dir / "logs" / "part.log"
        assert within(lambda: said.read_text().split() == ["none"])  # healthy comes before its first line
        assert control.call(bed.run_dir, "restart", "part", env={"ARM": "x"})["part"]["overrides"] == ["ARM"]
        assert within(lambda: said.read_text().split() == ["none", "x"])
        control.call(bed.run_dir, "kill", "part")
        assert within(lambda: said.read_text().split() == ["none", "x", "x"])
        control.call(bed.run_dir, "restart", "part")
        assert within(lambda: said.read_text().split() == ["none", "x", "x", "none"])

    def test_restart_answers_when_healthy_and_says_when_it_cannot_be(self, bed: Bed) -> None:
        (port,) = ports.free(1)
        code = f"import os,http.server as h; 'BAD' in os.environ or h.test(port={port}, bind='127.0.0.1')"
        bed.start(python("part", code, ready=Probe(tcp=port)))
        bed.reaches("part", "healthy")
        assert control.call(bed.run_dir, "restart", "part")["part"]["state"] == "healthy"
        with pytest.raises(control.ControlError, match="part given-up"):
            control.call(bed.run_dir, "restart", "part", env={"BAD": "1"})

    def test_stop_lasts_and_restart_ends_it(self, bed: Bed) -> None:
        bed.start(runs("part"))
        pid = bed.reaches("part", "healthy")["pid"]
        assert control.call(bed.run_dir, "stop", "part")["part"]["state"] == "stopped"
        assert not process.alive(pid)
        assert control.call(bed.run_dir, "restart", "part")["part"]["state"] == "healthy"

    def test_pause_stops_the_clock_and_resume_starts_it(self, bed: Bed) -> None:
        bed.start(runs("part"))
        pid = bed.reaches("part", "healthy")["pid"]
        control.call(bed.run_dir, "pause", "part")
        assert within(lambda: _letter(pid) == "T")
        assert bed.row("part")["state"] == "paused"
        control.call(bed.run_dir, "resume", "part")
        assert within(lambda: _letter(pid) == "S")
        assert bed.row("part")["state"] == "healthy"

    @pytest.mark.parametrize(
        ("request_", "error"),
        [
            ({"op": "restart", "part": "nobody"}, "nobody"),
            ({"op": "dance", "part": "part"}, "dance"),
            ({"op": "", "part": "part"}, "unknown"),
        ],
    )
    def test_nonsense_gets_an_error_and_harms_nothing(
        self, bed: Bed, request_: dict[str, str], error: str
    ) -> None:
        bed.start(runs("part"))
        bed.reaches("part", "healthy")
        with pytest.raises(control.ControlError, match=error):
            control.call(bed.run_dir, request_["op"], request_["part"])
        assert bed.row("part")["state"] == "healthy"

    def test_the_socket_is_for_its_owner(self, bed: Bed) -> None:
        bed.start(runs("part"))
        assert (bed.run_dir / control.SOCKET).stat().st_mode & 0o777 == 0o600

    def test_a_long_folder_name_is_no_obstacle(self, tmp_path: Path) -> None:
        deep = Bed(tmp_path / ("long" * 30) / ("name" * 10) / "run")
        deep.run_dir.parent.mkdir(parents=True)
        deep.start(runs("part"))
        deep.reaches("part", "healthy")
        assert life.stop(deep.run_dir)


class TestEnd:
    def test_a_deaf_process_is_killed_after_its_grace(self, bed: Bed) -> None:
        log = bed.run_dir / "logs" / "part.log"
        armed = Probe(exec=("grep", "-q", "deaf", str(log)), env=ENV)
        bed.start(python("part", DEAF, grace_s=0.3, ready=armed))
        pid = bed.reaches("part", "healthy")["pid"]
        began = time.monotonic()
        life.stop(bed.run_dir)
        assert not process.alive(pid)
        assert 0.3 <= time.monotonic() - began < 5

    def test_killing_the_supervisor_leaves_nothing(self, bed: Bed) -> None:
        bed.start(runs("part"), runs("other"))
        pids = [bed.reaches(name, "healthy")["pid"] for name in ("part", "other")]
        os.kill(control.call(bed.run_dir, "status")["supervisor_pid"], signal.SIGKILL)
        assert within(lambda: not any(map(process.alive, pids)))
        assert within(lambda: not life.locked(bed.run_dir))
        bed.start(runs("part"))
        bed.reaches("part", "healthy")

    def test_children_of_a_part_end_with_it(self, bed: Bed) -> None:
        bed.start(python("part", PARENT))
        pid = bed.reaches("part", "healthy")["pid"]
        assert within(lambda: len(process.tree(pid)) == 2)
        family = process.tree(pid)
        life.stop(bed.run_dir)
        assert not any(map(process.alive, family))

    def test_a_supervisor_ends_with_the_one_it_is_tied_to(self, tmp_path: Path) -> None:
        code = (
            "import sys,os,time\nfrom pathlib import Path\nfrom compose import life\n"
            "from compose.part import Part\n"
            "run=Path(sys.argv[1]); run.mkdir()\n"
            "life.launch(run, [Part('part', ('sleep','600'), {'PATH': os.environ['PATH']})], tied=True)\n"
            "print('up', flush=True); time.sleep(600)"
        )
        run_dir = tmp_path / "run"
        command = [sys.executable, "-c", code, str(run_dir)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=life.ROOT) as owner:
            assert owner.stdout is not None
            assert owner.stdout.readline() == b"up\n"
            assert life.locked(run_dir)
            owner.kill()
        assert within(lambda: not life.locked(run_dir))

    def test_a_second_supervisor_in_the_same_folder_refuses(self, bed: Bed) -> None:
        bed.start(runs("part"))
        command = [sys.executable, "-m", "compose.supervisor", str(bed.run_dir)]
        second = subprocess.run(
            command, input=b"[]", capture_output=True, cwd=life.ROOT, check=False, timeout=20
        )
        assert second.returncode == 3
        assert b"another supervisor" in second.stdout

    def test_stop_twice_and_stop_nothing(self, bed: Bed, tmp_path: Path) -> None:
        bed.start(runs("part"))
        assert life.stop(bed.run_dir)
        assert not life.stop(bed.run_dir)
        assert not life.stop(tmp_path / "never")


class TestState:
    def test_the_file_holds_what_the_socket_says(self, bed: Bed) -> None:
        (port,) = ports.free(1)
        bed.start(runs("part", ports=(port,), version="7"))
        pid = bed.reaches("part", "healthy")["pid"]
        assert within(lambda: life.read_state(bed.run_dir)["parts"]["part"]["state"] == "healthy")
        row = life.read_state(bed.run_dir)["parts"]["part"]
        assert (row["pid"], row["port"], row["version"]) == (pid, port, "7")
        assert row["start_ticks"] == process.start_ticks(pid)
        assert row["rss_bytes"] > 0

    def test_it_is_always_whole(self, bed: Bed) -> None:
        bed.start(python("part", "raise SystemExit(1)"))
        while bed.row("part")["state"] != "given-up":
            assert json.loads((bed.run_dir / "state.json").read_text())["parts"]["part"]


def _letter(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
