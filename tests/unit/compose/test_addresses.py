"""Ports and addresses in effect, by both start-ups: what one word moves, and where the gateway is reached."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from compose import envfile, joints, ports, scaling, settings
from compose.doctor import testbed
from compose.part import Part
from docs import texts
from tests.unit.compose.choice import WORKS, Desk, new_desk
from tests.unit.compose.test_scaling import scaled
from tests.unit.compose.test_topology import env, parts
from tests.unit.compose.words import takers

pytestmark = pytest.mark.unit
LOAD = "load_environment lenient; "
# What is said, where the gateway listens and how it is reached.
HOSTS = [
    ("", "127.0.0.1", "127.0.0.1"),
    ("127.0.0.2", "127.0.0.2", "127.0.0.2"),
    ("10.1.2.3", "10.1.2.3", "10.1.2.3"),
    ("0.0.0.0", "0.0.0.0", "127.0.0.1"),  # noqa: S104
    ("::", "::", "[::1]"),
    ("::1", "::1", "[::1]"),
    ("[::1]", "::1", "[::1]"),
    ("fd00::5", "fd00::5", "[fd00::5]"),
]
FAULTS = (8474, 8600, 8611)  # what overlay-faults.sh publishes
WRONG_HOSTS = ["localhost", "my-laptop", "[", "fe80::1%eth0", "http://127.0.0.1"]
WRONG_PORTS = [
    "0",
    "09000",
    "65536",
    "70000",
    "100000",
    "9000x",
    "-1",
    "\u0669\u0660\u0660\u0660",
    "9_000",
    " 9000",
]
WRONG_SHIFTS = ["-1", "01", "1e3", "60000", "500000", "x"]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return new_desk(tmp_path)


def every_port(shift: int, processes: int) -> set[int]:
    """Whatever a testbed may listen on: by either topology, with so many processes of each service."""
    found = set[int]()
    for words in ({"WORKERS": str(processes)}, {"TOPOLOGY": "scaled", "REPLICAS": str(processes)}):
        env = settings.read({"PORT_SHIFT": str(shift), "DB_POOL_MAX": "10", **words}).env
        found |= {int(value) for name, value in env.items() if name.endswith("_PORT")}
    return found


def in_effect(said: Mapping[str, str]) -> dict[str, str]:
    return dict(settings.read({"WORKERS": "1", **said}).env)


def probed(part: Part) -> tuple[str | None, str | None]:
    return (part.ready and part.ready.http) or None, (part.live and part.live.http) or None


class TestGatewayHost:
    @pytest.mark.parametrize(("said", "host", "address"), HOSTS)
    def test_it_is_asked_where_it_listens(self, said: str, host: str, address: str) -> None:
        found = in_effect({"GATEWAY_HOST": said})
        assert (found["GATEWAY_HOST"], found["GATEWAY_URL"]) == (host, f"http://{address}:9000")
        assert found["PUBLIC_URL_TEMPLATE"].startswith(f"http://{address}:9000/api/files/f/")
        gateway = parts(**found)["gateway"]
        assert (gateway.host, gateway.env["HOST"]) == (host, host)
        assert probed(gateway) == (f"http://{address}:9000/ready", f"http://{address}:9000/live")

    @pytest.mark.parametrize(("said", "host", "address"), HOSTS)
    def test_behind_nginx_only_nginx_listens_there(self, said: str, host: str, address: str) -> None:
        found = settings.read({"TOPOLOGY": "scaled", "GATEWAY_HOST": said}).env
        assert found["GATEWAY_URL"] == f"http://{address}:9080"
        names = ("GATEWAY_HOST", "GATEWAY_ADDRESS", "GATEWAY_URL")
        both = parts(**scaled(2, **{name: found[name] for name in names}))
        assert both["gateway"].env["HOST"] == both["gateway"].host == both["gateway-2"].host == "127.0.0.1"
        assert probed(both["gateway-2"])[0] == "http://127.0.0.1:9200/ready"
        assert (both["nginx"].host, probed(both["nginx"])[0]) == (host, f"http://{address}:9080/ready")
        assert f"listen {settings.bracketed(host)}:9080 " in joints.nginx_conf(scaled(2, GATEWAY_HOST=host))

    @pytest.mark.parametrize(("said", "host", "address"), HOSTS)
    def test_containers_are_published_there(self, desk: Desk, said: str, host: str, address: str) -> None:
        done = desk.script(LOAD + "write_files", **WORKS, GATEWAY_HOST=said)
        assert done.returncode == 0, done.stderr
        written = envfile.read(desk.run_dir / "ports.env")
        assert written["GATEWAY_HOST"] == settings.bracketed(host)
        for name in ("GATEWAY_URL", "PUBLIC_URL_TEMPLATE"):
            assert written[name] == in_effect({"GATEWAY_HOST": said})[name]

    @pytest.mark.parametrize("said", WRONG_HOSTS)
    def test_what_is_no_address_is_refused(self, desk: Desk, said: str) -> None:
        with pytest.raises(envfile.EnvError, match=r"GATEWAY_HOST=.*: must be an address of this machine"):
            settings.read({"GATEWAY_HOST": said})
        done = desk.script(LOAD, **WORKS, GATEWAY_HOST=said)
        assert done.returncode == 1
        assert f"GATEWAY_HOST='{said}': must be an address of this machine" in done.stderr


class TestWithoutEffect:
    def test_what_follows_from_other_words_is_refused_by_name(self) -> None:
        said = {"GATEWAY_ADDRESS": "127.0.0.7", "WEB_ORIGINS": "http://localhost:8080"}
        with pytest.raises(envfile.EnvError) as caught:
            settings.read({"WORKERS": "1", **said})
        why = "has no effect, its value follows from"
        assert caught.value.problems == [
            f"GATEWAY_ADDRESS='127.0.0.7': {why} GATEWAY_HOST: say that instead",
            f"WEB_ORIGINS='http://localhost:8080': {why} CORS_ORIGINS: say that instead",
        ]

    @pytest.mark.parametrize(("said", "host", "address"), HOSTS)
    def test_what_another_command_hands_on_is_taken(self, said: str, host: str, address: str) -> None:
        found = in_effect({"GATEWAY_HOST": said, "GATEWAY_ADDRESS": address})
        assert (found["GATEWAY_HOST"], found["GATEWAY_ADDRESS"]) == (host, address)
        assert in_effect(found)["GATEWAY_URL"] == found["GATEWAY_URL"]

    @pytest.mark.parametrize("workers", ["1", "2"])
    def test_every_other_one_stays_as_it_was_said(self, workers: str) -> None:
        kinds, others = takers(), {"GATEWAY_HOST": "127.0.0.9", "PORT_SHIFT": "7"}
        names = [
            name
            for name in envfile.read(settings.PORTS)
            if not kinds.get(name, set()) & {"none", "containers"}
        ]
        for name in names:
            said = others.get(name, "19999" if name.endswith("_PORT") else "http://127.0.0.9:19999")
            assert settings.read({"WORKERS": workers, name: said}).env[name] == said, name


class TestShift:
    def test_one_word_moves_every_port_that_nobody_names(self, desk: Desk) -> None:
        said = {"PORT_SHIFT": "1000", "S3_PORT": "9600", "WORKERS": "3"}
        found, usual = dict(settings.read(said).env), dict(settings.read({"WORKERS": "3"}).env)
        names = [name for name in usual if name.endswith("_PORT")]
        moved = {name: int(found[name]) - int(usual[name]) for name in names}
        assert moved.pop("S3_PORT") == 500
        assert set(moved.values()) == {1000}
        assert found["S3_PORT"] == "9600"
        assert found["GATEWAY_URL"] == "http://127.0.0.1:10000"
        assert found["FILES_URLS"].split(",")[1] == "http://127.0.0.1:10203"

        done = desk.script(LOAD + "write_files", **WORKS, **said)
        assert done.returncode == 0, done.stderr
        written = envfile.read(desk.run_dir / "ports.env")
        both = [name for name in names if name in written]
        assert {"GATEWAY_PORT", "S3_PORT", "UPLOAD_3_ADMIN_PORT"} <= set(both)
        assert {name: written[name] for name in both} == {name: found[name] for name in both}

    def test_by_those_that_the_documentation_names_no_two_testbeds_ever_meet(self, desk: Desk) -> None:
        assert {0, 1000, 2000, 10000, 42000} <= set(settings.SHIFTS)
        said = texts.STARTUP["PORT_SHIFT"]
        assert {int(one) for one in re.findall(r"\d+", said)} - {100, 50000} <= {*settings.SHIFTS}
        most, with_faults = scaling.MOST_REPLICAS, 21
        processes = {by: every_port(by, most) for by in settings.SHIFTS}
        assert 9014 in processes[0], "that of runs is one of them"
        faults = {by: every_port(by, with_faults) | {by + one for one in FAULTS} for by in settings.SHIFTS}
        for one, other in itertools.combinations(settings.SHIFTS, 2):
            assert not processes[one] & processes[other], (one, other)
            assert not faults[one] & faults[other], (one, other)
        assert max(map(max, processes.values())) <= 65535

    def test_by_others_they_may(self) -> None:
        assert {9100, 9101} <= every_port(0, 1) & every_port(100, 2)

    def test_containers_behind_bad_networks_are_moved_as_well(self, desk: Desk) -> None:
        ask = LOAD + 'echo "$TOXIPROXY_PORT $FAULTS_GATEWAY_PORT $FAULTS_PUBLIC_STORE_PORT"'
        for shift in (0, 1000):
            done = desk.script(ask, **WORKS, OVERLAYS="faults", PORT_SHIFT=str(shift))
            assert done.returncode == 0, done.stderr
            assert [int(one) - shift for one in done.stdout.split()] == list(FAULTS)

    @pytest.mark.parametrize("said", WRONG_SHIFTS)
    def test_what_is_no_shift_is_refused(self, desk: Desk, said: str) -> None:
        expected = f"PORT_SHIFT='{said}': must be a number, 0 to 50000, such as 1000"
        with pytest.raises(envfile.EnvError, match=expected):
            settings.read({"PORT_SHIFT": said})
        assert expected in desk.script(LOAD, **WORKS, PORT_SHIFT=said).stderr


class TestPorts:
    @pytest.mark.parametrize("said", WRONG_PORTS)
    def test_what_is_no_port_is_refused(self, desk: Desk, said: str) -> None:
        expected = f"S3_PORT={said!r}: must be a port, 1 to 65535"
        with pytest.raises(envfile.EnvError) as caught:
            settings.read({"WORKERS": "1", "S3_PORT": said})
        assert expected in caught.value.problems
        assert expected in desk.script(LOAD, **WORKS, S3_PORT=said).stderr

    @pytest.mark.parametrize("said", ["1", "65535", "65529", "65499", "64999", "59999"])
    def test_what_is_one_is_taken(self, desk: Desk, said: str) -> None:
        assert settings.read({"WORKERS": "1", "S3_PORT": said}).env["S3_PORT"] == said
        done = desk.script(LOAD + 'echo "$S3_PORT"', **WORKS, S3_PORT=said)
        assert done.stdout.split() == [said], done.stderr


class TestOfTheTestbedThatRuns:
    def test_its_ports_count_whatever_is_said_now(self, tmp_path: Path) -> None:
        (tmp_path / "ports.env").write_text("PROMETHEUS_URL=http://127.0.0.1:10090\nPROMETHEUS_PORT=10090\n")
        now = settings.read({"VAULTBENCH_RUN_DIR": str(tmp_path)})
        assert now.env["PROMETHEUS_PORT"] == "9090"
        found = settings.in_effect(now).env
        assert (found["PROMETHEUS_PORT"], found["PROMETHEUS_URL"]) == ("10090", "http://127.0.0.1:10090")

    def test_so_do_those_of_containers(self, desk: Desk) -> None:
        done = desk.script("STARTS=1; load_environment lenient; write_files", **WORKS, PORT_SHIFT="1000")
        assert done.returncode == 0, done.stderr
        said = desk.script(LOAD + 'echo "$PROMETHEUS_URL $UPLOAD_PORT"', **WORKS)
        assert said.stdout.split() == ["http://127.0.0.1:10090", "10002"], said.stderr
        starting = desk.script("STARTS=1; " + LOAD + 'echo "$UPLOAD_PORT"', **WORKS)
        assert starting.stdout.split() == ["9002"]


def test_nothing_moves_by_itself() -> None:
    assert env()["PORT_SHIFT"] == "0"


@pytest.mark.parametrize(
    ("reserved", "lent"),
    [
        ("", [32768, 39000, 60999]),
        ("39000", [32768, 60999]),
        ("1-40000,60999", []),
        ("38999,39001", [32768, 39000, 60999]),
    ],
)
def test_ports_that_any_outgoing_connection_may_take(
    desk: Desk, tmp_path: Path, reserved: str, lent: list[int]
) -> None:
    """As the kernel tells its range and what is left out of it; the same by both start-ups."""
    (tmp_path / "range").write_text("32768\t60999\n")
    (tmp_path / "reserved").write_text(f"{reserved}\n")
    asked = [9000, 32767, 32768, 39000, 60999, 61000]
    assert ports.lent(asked, tmp_path / "range", tmp_path / "reserved") == lent
    assert ports.lent(asked, tmp_path / "none") == []
    files = f"LENT={tmp_path}/range RESERVED={tmp_path}/reserved"
    text = f"{files}; printf '%s\\n' {' '.join(map(str, asked))} | lent_ports"
    assert list(map(int, desk.script(text).stdout.split())) == lent


@pytest.mark.parametrize(("shift", "word"), [("2000", []), ("30000", ["GATEWAY_PORT: port 39000"])])
def test_a_shift_to_where_the_kernel_lends_ports_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: str, word: list[str]
) -> None:
    (tmp_path / "range").write_text("39000 39000")
    monkeypatch.setattr(ports, "lent", functools.partial(ports.lent, span=tmp_path / "range"))
    monkeypatch.setattr(ports, "LENT", tmp_path / "range")
    found = list(testbed.ports_kept(settings.read({"PORT_SHIFT": shift})))
    assert [one.text.partition(" may")[0] for one in found] == word
    assert all(
        one.status == "warn" and one.remedy.endswith("ip_local_reserved_ports: 39000") for one in found
    )


def test_no_shift_is_proposed_to_where_the_kernel_lends_ports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "range").write_text("1024 21500")
    monkeypatch.setattr(ports, "are_free", lambda _: True)
    monkeypatch.setattr(ports, "lent", functools.partial(ports.lent, span=tmp_path / "range"))
    assert settings.free_shift(settings.read({}).env) == 20_000
    (tmp_path / "range").write_text("1024 65535")
    assert settings.free_shift(settings.read({}).env) == 0, "where it lends all of them, one is as good"
