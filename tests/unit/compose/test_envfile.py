"""KEY=VALUE files, secrets on disk, names inside values."""

from __future__ import annotations

from pathlib import Path

import pytest

from compose import credentials, envfile, settings
from compose.credentials import CredentialsLost
from compose.envfile import EnvError
from services.kit.origins import ORIGINS

pytestmark = pytest.mark.unit


class TestRead:
    def test_skips_comments_and_keeps_equals_signs(self, tmp_path: Path) -> None:
        path = tmp_path / "x.env"
        path.write_text("# words\n\nA=1\nB=x=y\nC=\nD='a b' # words\nE=${A}\n")
        assert envfile.read(path) == {"A": "1", "B": "x=y", "C": "", "D": "a b", "E": "${A}"}

    def test_names_every_bad_line(self, tmp_path: Path) -> None:
        path = tmp_path / "x.env"
        path.write_text("A=1\n\n  export B=2\nlower=3\nWORD\nC =4\njust words\n")
        with pytest.raises(EnvError) as caught:
            envfile.read(path)
        assert caught.value.problems == [f"x.env, line {number}: not KEY=VALUE" for number in (3, 4, 5, 6, 7)]


class TestResolve:
    def test_names_see_overrides(self) -> None:
        defaults = {"PORT": "1", "URL": "http://h:${PORT}", "BOTH": "${URL}/x"}
        assert envfile.resolve(defaults, {"PORT": "2"})["BOTH"] == "http://h:2/x"

    def test_overrides_are_taken_as_they_are(self) -> None:
        assert envfile.resolve({"A": "1", "B": "2"}, {"B": "${A}"})["B"] == "${A}"

    def test_an_empty_override_is_none(self) -> None:
        assert envfile.resolve({"A": "1"}, {"A": ""}) == {"A": "1"}


class TestCredentials:
    def test_made_once_and_readable_by_the_owner_only(self, tmp_path: Path) -> None:
        path = tmp_path / ".env"
        first = credentials.ensure(path, {}, data_exists=False)
        assert path.stat().st_mode & 0o777 == 0o600
        assert credentials.ensure(path, {}, data_exists=True) == first
        assert set(first) == set(credentials.SIZES)
        assert len(set(first.values())) == len(first)
        assert all(len(first[name]) == 2 * size for name, size in credentials.SIZES.items())

    def test_the_environment_wins_without_being_written_over_what_is_kept(self, tmp_path: Path) -> None:
        path = tmp_path / ".env"
        first = credentials.ensure(path, {}, data_exists=False)
        mine = "m" * 32
        assert credentials.ensure(path, {"JWT_SECRET": mine}, data_exists=True)["JWT_SECRET"] == mine
        assert envfile.read(path) == first

    def test_what_the_environment_gives_at_first_is_kept_with_the_data(self, tmp_path: Path) -> None:
        path = tmp_path / ".env"
        credentials.ensure(path, {"PG_AUTH_PASSWORD": "mine"}, data_exists=False)
        assert credentials.ensure(path, {}, data_exists=True)["PG_AUTH_PASSWORD"] == "mine"

    def test_a_lost_file_beside_data_is_not_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / ".env"
        with pytest.raises(CredentialsLost, match=r"Restore \.env, or run `make clean`"):
            credentials.ensure(path, {}, data_exists=True)
        assert not path.exists()

    def test_a_new_kind_of_secret_is_added_to_an_old_file(self, tmp_path: Path) -> None:
        path = tmp_path / ".env"
        first = credentials.ensure(path, {}, data_exists=False)
        added = f"GRAFANA_PASSWORD={first['GRAFANA_PASSWORD']}\n"
        path.write_text("# mine\n" + path.read_text().replace(added, ""))
        again = credentials.ensure(path, {}, data_exists=True)
        assert again["GRAFANA_PASSWORD"] not in {"", first["GRAFANA_PASSWORD"]}
        assert {**again, "GRAFANA_PASSWORD": ""} == {**first, "GRAFANA_PASSWORD": ""}
        assert path.read_text().startswith("# mine\n")
        assert path.stat().st_mode & 0o777 == 0o600

    def test_short_ones_are_refused_all_at_once_and_nothing_is_written(self, tmp_path: Path) -> None:
        path, short = tmp_path / ".env", {"JWT_SECRET": "tooshort", "S3_SECRET_KEY": "short"}
        with pytest.raises(EnvError) as caught:
            credentials.ensure(path, short, data_exists=False)
        assert [one.partition(":")[0] for one in caught.value.problems] == [
            "JWT_SECRET in the environment has 8 characters; at least 32 are needed",
            "S3_SECRET_KEY in the environment has 5 characters; at least 8 are needed",
        ]
        assert not path.exists()
        assert credentials.ensure(path, {"JWT_SECRET": "m" * 32}, data_exists=False)["JWT_SECRET"] == "m" * 32
        path.write_text("JWT_SECRET=tooshort\n")
        with pytest.raises(EnvError, match=r"JWT_SECRET in \.env has 8 characters"):
            credentials.ensure(path, {}, data_exists=True)

    def test_what_needs_quotes_comes_back_as_it_was(self, tmp_path: Path) -> None:
        path, odd = tmp_path / ".env", "a 'b' \"c\" $(d)${E} #f \\g "
        credentials.ensure(path, {"PG_AUTH_PASSWORD": odd}, data_exists=False)
        assert credentials.ensure(path, {}, data_exists=True)["PG_AUTH_PASSWORD"] == odd


class TestSettings:
    def test_every_problem_at_once(self) -> None:
        bad = {
            "RUNTIME": "vm",
            "PROMETHEUS_SOURCE": "yum",
            "GATEWAY_PORT": "http",
            "AUTH_PORT": "9002",
            "MINIO": "/no/such/minio",
            "POSTGRES_BIN_DIR": "/no/such",
        }
        with pytest.raises(EnvError) as caught:
            settings.read(bad)
        told = "\n".join(caught.value.problems)
        assert all(name in told for name in bad if name != "AUTH_PORT")
        assert "UPLOAD_PORT=9002: AUTH_PORT has this port already" in told

    def test_defaults_are_those_of_the_file(self) -> None:
        now = settings.read({})
        assert now.env["S3_PUBLIC_ENDPOINT"] == "http://localhost:9100"
        assert now.run_dir == settings.ROOT / ".run"
        assert now.secrets_file == settings.ROOT / ".env"

    def test_a_moved_port_moves_the_addresses(self) -> None:
        assert settings.read({"UPLOAD_PORT": "9502"}).env["UPLOAD_URLS"] == "http://127.0.0.1:9502"

    def test_the_store_gets_the_origins_of_the_gateway(self) -> None:
        origins = settings.read({"CORS_ORIGINS": "https://a.example, ,http://localhost:3000"}).env
        assert origins["STORE_CORS_ORIGINS"].split(",") == [*ORIGINS, "https://a.example"]
