"""Grafana, where its real image can be had: open to look, closed to change, provisioned."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request

import pytest

from compose import envfile
from tests.compose.bed import Bed

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


@pytest.fixture
def grafana(bed: Bed) -> Bed:
    if bed.env["WITHOUT"]:
        pytest.skip("there is no stand-in for Grafana")
    return bed


def get(bed: Bed, path: str, password: str = "") -> tuple[int, object]:
    request = urllib.request.Request(f"http://127.0.0.1:{bed.env['GRAFANA_PORT']}{path}")
    if password:
        request.add_header(
            "Authorization", "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()
        )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, None


def test_it_is_healthy(grafana: Bed) -> None:
    grafana.wait_healthy("grafana")


def test_anybody_here_may_look_at_the_comparison(grafana: Bed) -> None:
    status, home = get(grafana, "/api/dashboards/home")
    assert status == 200
    assert isinstance(home, dict)
    assert home["dashboard"]["uid"] == "vaultbench-proxy-direct"


def test_every_dashboard_is_there_and_read_only(grafana: Bed) -> None:
    status, found = get(grafana, "/api/search?type=dash-db")
    assert status == 200
    assert isinstance(found, list)
    assert len(found) >= 6
    for one in found:
        _, full = get(grafana, f"/api/dashboards/uid/{one['uid']}")
        assert isinstance(full, dict)
        assert full["meta"]["provisioned"] is True
        assert full["meta"]["canSave"] is False


def test_only_the_admin_with_the_password_of_env_may_change(grafana: Bed) -> None:
    password = envfile.read(grafana.folder / "secrets.env")["GRAFANA_PASSWORD"]
    assert get(grafana, "/api/admin/settings")[0] in {401, 403}
    assert get(grafana, "/api/admin/settings", "admin")[0] == 401
    assert get(grafana, "/api/admin/settings", password)[0] == 200


def test_the_data_source_answers_under_its_fixed_name(grafana: Bed) -> None:
    password = envfile.read(grafana.folder / "secrets.env")["GRAFANA_PASSWORD"]
    status, health = get(grafana, "/api/datasources/uid/vaultbench-prometheus/health", password)
    assert (status, isinstance(health, dict) and health["status"]) == (200, "OK")
