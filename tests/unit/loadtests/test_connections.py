"""Where the system is, from files and environment; every problem is named at once."""

from pathlib import Path

import pytest

from loadtests.harness.testbeds.connections import ConnectionsError, read_endpoints, read_environment

pytestmark = pytest.mark.unit

GOOD = {
    "PG_AUTH_PASSWORD": "a/b@c", "PG_UPLOAD_PASSWORD": "u", "PG_FILES_PASSWORD": "f",
    "PG_AUTH_PORT": "5541", "PG_UPLOAD_PORT": "5542", "PG_FILES_PORT": "5543",
    "S3_PORT": "9100", "S3_ACCESS_KEY": "key", "S3_SECRET_KEY": "secret-value", "S3_BUCKET": "vault-files",
}  # fmt: skip


def test_layers_and_references(tmp_path: Path) -> None:
    (tmp_path / "compose").mkdir()
    (tmp_path / "compose" / "ports.env").write_text(
        "# ports\nS3_PORT=9100\nS3_URL=http://x:${S3_PORT}/${NO}\n"
    )
    (tmp_path / ".env").write_text('export SECRET="quoted"\nS3_PORT=9200\n')
    found = read_environment(tmp_path, {"S3_PORT": "9300"})
    assert found == {"S3_PORT": "9300", "S3_URL": "http://x:9300/${NO}", "SECRET": "quoted"}


def test_a_reference_to_itself_ends(tmp_path: Path) -> None:
    assert read_environment(tmp_path, {"A": "${B}", "B": "${A}"})["A"] in {"${A}", "${B}"}


def test_endpoints() -> None:
    endpoints = read_endpoints(GOOD)
    assert endpoints.databases["auth"] == "postgres://app:a%2Fb%40c@127.0.0.1:5541/auth_db"
    assert endpoints.s3_endpoint == "127.0.0.1:9100"


def test_secrets_stay_out_of_its_text() -> None:
    text = repr(read_endpoints(GOOD))
    assert "secret-value" not in text
    assert "a%2Fb" not in text


def test_all_problems_at_once() -> None:
    with pytest.raises(ConnectionsError) as caught:
        read_endpoints({**GOOD, "PG_AUTH_PORT": "high", "S3_BUCKET": "", "PG_FILES_PASSWORD": ""})
    assert len(caught.value.problems) == 3
    assert all(name in str(caught.value) for name in ("PG_AUTH_PORT", "S3_BUCKET", "PG_FILES_PASSWORD"))
