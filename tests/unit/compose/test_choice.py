"""Containers or processes: how the start-up decides on a host that has neither Python nor Go."""

from __future__ import annotations

import re
import stat
import time
from pathlib import Path

import pytest
import yaml

from compose import credentials, envfile, settings, up
from tests.unit.compose.choice import WORKS, Desk, new_desk

pytestmark = pytest.mark.unit

PYTHON = '#!/bin/sh\necho "python got: $* RUNTIME=$RUNTIME"\n'
EXPORTERS = [f"EXPORTER_{name}" for name in ("PG_AUTH", "PG_UPLOAD", "PG_FILES", "HOST", "PROCESSES")]
CHOOSE = 'choose_runtime; echo "$runtime: $why"'


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return new_desk(tmp_path)


class TestChoice:
    def test_containers_when_a_daemon_answers_and_compose_is_there(self, desk: Desk) -> None:
        said = desk.script(CHOOSE, **WORKS).stdout
        assert said == "compose: a Docker daemon answers at unix:///var/run/docker.sock\n"

    def test_a_docker_program_alone_is_not_enough(self, desk: Desk) -> None:
        assert desk.script(CHOOSE, FAKE_COMPOSE="2.29.0").stdout.startswith(
            "native: no Docker daemon answers"
        )

    def test_a_daemon_that_hangs_is_not_waited_for(self, desk: Desk) -> None:
        began = time.monotonic()
        said = desk.script(CHOOSE, **WORKS, FAKE_HANGS="1").stdout
        assert said.startswith("native: no Docker daemon answers within 3 s")
        assert time.monotonic() - began < 20

    def test_without_compose(self, desk: Desk) -> None:
        assert "neither `docker compose`" in desk.script(CHOOSE, FAKE_VERSION="27").stdout

    def test_the_older_compose_will_do(self, desk: Desk) -> None:
        desk.put("docker-compose", "#!/bin/sh\nexit 0\n")
        assert desk.script("compose_program", FAKE_VERSION="27").stdout == "docker-compose\n"

    @pytest.mark.parametrize("where", [{"DOCKER_HOST": "ssh://far"}, {"FAKE_CONTEXT": "tcp://far:2376"}])
    def test_a_daemon_on_another_machine_is_not_used(self, desk: Desk, where: dict[str, str]) -> None:
        said = desk.script(CHOOSE, **WORKS, **where).stdout
        assert said.startswith("native: the Docker daemon is on another machine")
        refused = desk.make("up", RUNTIME="compose", **WORKS, **where)
        assert "RUNTIME=compose cannot work: the Docker daemon is on another machine" in refused.stderr
        assert refused.returncode != 0

    def test_an_unknown_wish_is_refused(self, desk: Desk) -> None:
        assert "RUNTIME='vm': must be one of native, compose" in desk.make("up", RUNTIME="vm").stderr

    def test_a_wish_may_be_written_with_a_capital(self, desk: Desk) -> None:
        desk.put("python3", PYTHON)
        assert "runtime   native (RUNTIME=native)" in desk.make("up", RUNTIME="Native").stdout

    def test_neither_docker_nor_python(self, desk: Desk) -> None:
        done = desk.make("up")
        assert done.returncode != 0
        assert "Without Docker, Python 3.11 or later is needed" in done.stderr

    def test_no_python_is_asked_for_with_docker(self, desk: Desk) -> None:
        done = desk.make("status", **WORKS)
        assert (done.returncode, done.stdout) == (0, "nothing runs; make up starts it\n")


class TestRecord:
    def test_what_runs_is_asked_and_never_detected_again(self, desk: Desk) -> None:
        desk.put("python3", PYTHON)
        desk.record("native")
        assert "bootstrap.py compose status RUNTIME=native" in desk.make("status", **WORKS).stdout
        assert (desk.folder / "calls").read_text() == ""

    def test_any_tested_python_starts_it_and_a_named_one_wins(self, desk: Desk) -> None:
        desk.record("native")
        desk.put("python3.12", PYTHON)
        assert "bootstrap.py compose status" in desk.make("status").stdout
        says_so = '#!/bin/sh\n[ "$2" != -c ] || { echo python; exit; }\n'
        desk.put("mine", says_so + PYTHON.replace("python got", "mine got"))
        assert desk.make("status", "PYTHON=mine").stdout.startswith("mine got")
        assert desk.run("make", "status", PYTHON="mine").stdout.startswith("python got"), "nobody typed it"

    def test_up_stays_with_what_runs(self, desk: Desk) -> None:
        desk.put("python3", PYTHON)
        desk.record("native")
        done = desk.make("up", **WORKS)
        assert done.stdout.startswith("runtime   native (as it was started")

    def test_the_other_one_is_refused_until_down(self, desk: Desk) -> None:
        desk.put("python3", PYTHON)
        desk.record("native")
        refused = desk.make("up", RUNTIME="compose", **WORKS)
        assert "A testbed was started with RUNTIME=native. Run `make down` first." in refused.stderr
        desk.make("down")
        assert not (desk.run_dir / "runtime").exists()

    def test_the_choice_is_written_down_once_the_start_up_refuses_nothing_more(self, desk: Desk) -> None:
        desk.put("python3", PYTHON)
        desk.make("up", RUNTIME="native")
        assert not desk.run_dir.exists()
        up._record_runtime(settings.read({"VAULTBENCH_RUN_DIR": str(desk.run_dir)}))
        assert (desk.run_dir / "runtime").read_text() == "native\n"

    def test_down_and_clean_on_nothing(self, desk: Desk) -> None:
        assert desk.make("down", **WORKS).stdout == "nothing was running\n"
        assert "no data to delete" in desk.make("clean", **WORKS).stdout

    def test_clean_follows_no_link(self, desk: Desk, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "precious").touch()
        desk.run_dir.symlink_to(elsewhere)
        desk.make("clean", **WORKS)
        assert (elsewhere / "precious").exists()


class TestSecrets:
    def test_are_those_of_the_other_start_up(self, desk: Desk) -> None:
        desk.script("ensure_secrets", **WORKS)
        made = envfile.read(desk.secrets)
        assert {name: len(value) // 2 for name, value in made.items()} == dict(credentials.SIZES)
        assert all(re.fullmatch("[0-9a-f]+", value) for value in made.values())
        assert len(set(made.values())) == len(made)
        assert stat.S_IMODE(desk.secrets.stat().st_mode) == 0o600

    def test_are_never_changed_after(self, desk: Desk) -> None:
        desk.script("ensure_secrets", **WORKS)
        before = desk.secrets.read_text()
        desk.script("ensure_secrets", **WORKS)
        assert desk.secrets.read_text() == before

    def test_missing_ones_are_added_and_given_ones_win(self, desk: Desk) -> None:
        kept = "k" * 32
        desk.secrets.write_text(f"JWT_SECRET={kept}\n")
        desk.script("ensure_secrets", **WORKS, GRAFANA_PASSWORD="given")
        made = envfile.read(desk.secrets)
        assert (made["JWT_SECRET"], made["GRAFANA_PASSWORD"]) == (kept, "given")
        assert set(made) == set(credentials.SIZES)

    def test_lost_passwords_of_existing_databases_are_not_replaced(self, desk: Desk) -> None:
        done = desk.script("ensure_secrets", **WORKS, FAKE_VOLUMES="vaultbench_pg-auth vaultbench_s3")
        assert "lacks PG_AUTH_PASSWORD PG_UPLOAD_PASSWORD PG_FILES_PASSWORD" in done.stderr
        assert done.returncode == 1
        assert not desk.secrets.exists()

    def test_short_ones_are_refused_all_at_once_and_nothing_is_written(self, desk: Desk) -> None:
        done = desk.script("ensure_secrets", **WORKS, JWT_SECRET="tooshort", S3_SECRET_KEY="short")
        assert done.returncode == 1
        assert "JWT_SECRET in the environment has 8 characters; at least 32 are needed" in done.stderr
        assert "S3_SECRET_KEY in the environment has 5 characters; at least 8 are needed" in done.stderr
        assert not desk.secrets.exists()
        desk.secrets.write_text("JWT_SECRET='tooshort'\n")
        assert "JWT_SECRET in secrets.env has 8 characters" in desk.script("ensure_secrets", **WORKS).stderr

    def test_a_file_with_line_ends_of_windows_is_read_alike(self, desk: Desk) -> None:
        desk.secrets.write_bytes(b"JWT_SECRET='a b'\r\nGRAFANA_PASSWORD=plain\r\n")
        show = 'load_environment lenient; printf "%s|%s" "$JWT_SECRET" "$GRAFANA_PASSWORD"'
        assert desk.script(show, **WORKS).stdout == "a b|plain"
        assert envfile.read(desk.secrets) == {"JWT_SECRET": "a b", "GRAFANA_PASSWORD": "plain"}

    def test_a_value_means_itself(self, desk: Desk) -> None:
        desk.secrets.write_text("JWT_SECRET=$(touch x)$HOME`id`\n")
        said = desk.script('load_environment lenient; printf "%s" "$JWT_SECRET"', **WORKS).stdout
        assert said == "$(touch x)$HOME`id`"

    def test_both_start_ups_read_what_the_other_one_wrote(self, desk: Desk) -> None:
        odd, show = "a 'b' \"c\" $(d)${E} #f \\g", 'load_environment lenient; printf "%s" "$PG_AUTH_PASSWORD"'
        desk.script("ensure_secrets", **WORKS, PG_AUTH_PASSWORD=odd)
        assert envfile.read(desk.secrets)["PG_AUTH_PASSWORD"] == odd
        assert desk.script(show, **WORKS).stdout == odd
        desk.secrets.unlink()
        credentials.ensure(desk.secrets, {"PG_AUTH_PASSWORD": odd}, data_exists=False)
        assert desk.script(show, **WORKS).stdout == odd


class TestEnvironment:
    @pytest.mark.parametrize(
        "given", [{}, {"GATEWAY_PORT": "9500", "S3_PORT": "9700", "CORS_ORIGINS": "https://a.example"}]
    )
    def test_ports_and_addresses_are_those_of_the_other_start_up(
        self, desk: Desk, given: dict[str, str]
    ) -> None:
        names = [*envfile.read(settings.PORTS), "STORE_CORS_ORIGINS"]
        lines = "".join(f'printf "%s\\n" "{name}=${name}"\n' for name in names)
        said = desk.script("load_environment lenient\n" + lines, **WORKS, **given).stdout
        found = dict(line.split("=", 1) for line in said.splitlines())
        expected = settings.read({"WORKERS": "1", **given}).env
        assert found == {name: expected[name] for name in names}

    def test_another_store_is_refused_but_not_in_the_way_of_stopping(self, desk: Desk) -> None:
        refused = desk.script("load_environment", **WORKS, STORE="versitygw")
        assert refused.returncode == 1
        assert "STORE=versitygw: containers have MinIO" in refused.stderr
        assert desk.script("load_environment lenient", **WORKS, STORE="versitygw").returncode == 0

    def test_the_configuration_of_prometheus(self, desk: Desk) -> None:
        done = desk.script("load_environment lenient; write_files", **WORKS)
        assert done.returncode == 0, done.stderr
        text = (desk.run_dir / "prometheus-config" / "prometheus.yml").read_text()
        jobs = {job["job_name"]: job["static_configs"] for job in yaml.safe_load(text)["scrape_configs"]}
        assert [one["targets"] for one in jobs["vaultbench"]] == [
            ["gateway:9010"],
            ["auth:9011"],
            ["upload:9012"],
            ["files:9013"],
        ]
        assert jobs["minio"][0]["targets"] == ["minio:9100"]
        assert {one["labels"]["database"]: one["targets"] for one in jobs["postgres"]} == {
            "auth": ["exporter-pg-auth:9187"],
            "upload": ["exporter-pg-upload:9188"],
            "files": ["exporter-pg-files:9189"],
        }
        assert jobs["host"][0]["targets"] == ["exporter-host:9190"]
        assert jobs["processes"][0]["targets"] == ["exporter-processes:9191"]
        groups = yaml.safe_load((desk.run_dir / "exporter-config" / "processes.yml").read_text())
        assert {one["name"] for one in groups["process_names"]} >= {"gateway", "pg-auth", "minio", "k6"}
        links = desk.run_dir / "exporter-config" / "proc"
        assert {path.name: str(path.readlink()) for path in links.iterdir()} == {
            **{name: f"/proc/{name}" for name in ("stat", "meminfo", "loadavg", "diskstats", "pressure")},
            "net": "/proc/1/net",
        }

    def test_all_values_are_there_for_compose_by_hand_and_private(self, desk: Desk) -> None:
        desk.script("ensure_secrets; load_environment; write_files", **WORKS)
        path = desk.run_dir / "compose.env"
        written = envfile.read(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        described = (settings.ROOT / "compose" / "compose.yaml").read_text()
        assert set(re.findall(r"\$\{([A-Z0-9_]+)", described)) <= set(written)

    def test_the_budget_is_the_sum_of_the_limits(self, desk: Desk) -> None:
        limits = envfile.read(settings.ROOT / "compose" / "memory.env")
        said = desk.script("load_environment lenient; memory_budget", **WORKS).stdout
        assert int(said) == sum(int(mib) for name, mib in limits.items() if name != "MEMORY_BENCH_MB")
        fewer = desk.script("load_environment lenient; memory_budget", **WORKS, MEMORY_MINIO_MB="1").stdout
        assert int(fewer) == int(said) - int(limits["MEMORY_MINIO_MB"]) + 1

    @pytest.mark.parametrize(
        ("without", "left_out"),
        [
            ("exporter-host", ["EXPORTER_HOST"]),
            ("exporters,grafana", [*EXPORTERS, "GRAFANA"]),
            ("prometheus", ["PROMETHEUS", "GRAFANA", *EXPORTERS]),
        ],
    )
    def test_what_is_left_out_takes_no_memory_and_is_not_scraped(
        self, desk: Desk, without: str, left_out: list[str]
    ) -> None:
        limits = envfile.read(settings.ROOT / "compose" / "memory.env")
        script = "load_environment lenient; write_files; memory_budget"
        every = int(desk.script(script, **WORKS).stdout)
        fewer = int(desk.script(script, **WORKS, WITHOUT=without).stdout)
        assert every - fewer == sum(int(limits[f"MEMORY_{name}_MB"]) for name in left_out)
        written = yaml.safe_load((desk.run_dir / "prometheus-config" / "prometheus.yml").read_text())
        jobs = {one["job_name"]: one["static_configs"] for one in written["scrape_configs"]}
        assert jobs["host"][0]["targets"] == ([] if "EXPORTER_HOST" in left_out else ["exporter-host:9190"])
        found = [target for one in jobs["postgres"] for target in one["targets"]]
        assert len(found) == (0 if "EXPORTER_PG_AUTH" in left_out else 3)


class TestDigests:
    def test_what_a_registry_has_gets_its_digest_and_everything_else_stays(self, desk: Desk) -> None:
        desk.put("docker", '#!/bin/sh\ncase "$1 $2" in "image inspect") echo name@sha256:abc ;; esac\n')
        written = (settings.ROOT / "compose" / "images.env").read_text().splitlines()
        said = desk.script("digests").stdout.splitlines()
        for before, after in zip(written, said, strict=True):
            name, _, image = before.partition("=")
            theirs = re.fullmatch(r"\w+_IMAGE", name) and not image.startswith("vaultbench/")
            assert after == (f"{before}@sha256:abc" if theirs else before)

    def test_an_image_that_was_made_here_has_none(self, desk: Desk) -> None:
        done = desk.script("digests", **WORKS)
        assert done.returncode == 1
        assert "has no digest: it was made here" in done.stderr


def test_no_wait_goes_by_a_clock_that_somebody_sets(desk: Desk) -> None:
    """Where the kernel shows another."""
    uptime = Path("/proc/uptime")
    if not uptime.exists():
        pytest.skip("this kernel shows none")
    before = float(uptime.read_text().split()[0])
    said = int(desk.script("date() { echo 7; }; steady_s", **WORKS).stdout)
    assert int(before) <= said <= float(uptime.read_text().split()[0])
    for path in (settings.ROOT / "compose" / "docker").glob("*.sh"):
        if path.name not in ("lib.sh", "bench.sh"):  # one has it for other kernels, one tells Docker
            assert "date +%s" not in path.read_text(), path.name
