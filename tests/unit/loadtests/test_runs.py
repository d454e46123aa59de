"""What was measured: listed, laid side by side, and given away."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from rich.console import Console

from loadtests.harness.commands import share as sharing
from loadtests.harness.commands.compare import NO_WINNER, compare, two_runs
from loadtests.harness.commands.runs import read_run, runs
from loadtests.harness.commands.share import BLOCK, Scrubber, markdown_block, packed
from loadtests.harness.records.bundle import BundleError
from loadtests.harness.running.session import find_bundle
from tests.unit.loadtests import fabricate as make

pytestmark = pytest.mark.unit


def printed(work: Callable[[Console], int], width: int = 160) -> str:
    out = io.StringIO()
    assert work(Console(file=out, width=width)) == 0
    return out.getvalue()


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return make.bundle(tmp_path, make.result())


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """Another revision on another machine over a slow network."""
    conditions = make.conditions(
        rtt_ms=40.0, host={"cpu_model": "Other CPU", "cores": 8.0, "memory_bytes": 8 << 30}
    )
    found = make.result(run="20260911-033320-proxyordirect-ci", conditions=conditions)
    path = make.bundle(tmp_path, found, git_revision="1" * 40)
    plan = json.loads((path / "plan.json").read_text())
    (path / "plan.json").write_text(json.dumps(plan | {"rtt_ms": 40.0}))
    return path


class TestNewest:
    def test_is_the_one_that_began_last_whatever_its_name(self, first: Path, second: Path) -> None:
        """An hour of autumn comes twice, and the clock may have been set."""
        for path, began in ((first, 200.0), (second, 100.0)):
            manifest = json.loads((path / "manifest.json").read_text())
            (path / "manifest.json").write_text(json.dumps(manifest | {"started_at": began}))
        assert first.name < second.name
        environ = {"VAULTBENCH_RESULTS": str(first.parent)}
        assert find_bundle(None, environ) == first
        shown = printed(lambda console: runs(environ, console), 400)
        assert shown.index(first.name) < shown.index(second.name)

    def test_one_that_cannot_be_read_is_the_oldest(self, first: Path) -> None:
        for number, text in enumerate(("{", "[]", '{"started_at": "x"}')):
            (first.parent / f"z{number}").mkdir()
            (first.parent / f"z{number}" / "manifest.json").write_text(text)
        assert find_bundle(None, {"VAULTBENCH_RESULTS": str(first.parent)}) == first

    def test_another_folder_is_none(self, first: Path) -> None:
        with pytest.raises(BundleError, match=r"is no run: it holds neither manifest\.json nor plan\.json"):
            find_bundle(str(first.parent), {"VAULTBENCH_RESULTS": str(first.parent)})


class TestRuns:
    def test_newest_first_with_machine_answer_and_validity(self, first: Path, second: Path) -> None:
        shown = printed(lambda console: runs({"VAULTBENCH_RESULTS": str(first.parent)}, console), 400)
        assert shown.index(second.name) < shown.index(first.name)
        for piece in (
            "Fabricated CPU, 2 cores",
            "proxy-or-direct, ci",
            "Direct in one PUT is the fastest",
            "valid",
        ):
            assert piece in shown
        assert "2026-09-10" in shown

    def test_folders_that_cannot_be_read_are_counted(self, first: Path) -> None:
        old = first.parent / "20250101-000000-old-ci"
        old.mkdir()
        (old / "manifest.json").write_text('{"run": "old", "experiment": "EXP-07"}')
        shown = printed(lambda console: runs({"VAULTBENCH_RESULTS": str(first.parent)}, console))
        assert "1 folder of other versions or without a plan left out." in shown
        with pytest.raises(BundleError, match="another version"):
            read_run(old)

    def test_runs_that_were_killed_before_they_began_are_counted(self, first: Path) -> None:
        started = first.parent / "20250101-000000-ab-ci"
        started.mkdir()
        (started / "plan.json").write_text("{}")
        shown = printed(lambda console: runs({"VAULTBENCH_RESULTS": str(first.parent)}, console))
        assert "1 folder of runs that were killed before they began; they can be deleted." in shown

    def test_none_yet(self, tmp_path: Path) -> None:
        shown = printed(lambda console: runs({"VAULTBENCH_RESULTS": str(tmp_path)}, console))
        assert "make stress" in shown


class TestCompare:
    def test_everything_they_differ_in_and_no_winner(self, first: Path, second: Path) -> None:
        shown = printed(lambda console: compare((first, second), console))
        different = shown[shown.index("What they differ in") :]
        for name, one, other in (
            ("git_revision", "0" * 40, "1" * 40),
            ("host.cpu_model", "Fabricated CPU", "Other CPU"),
            ("host.cores", "2.0", "8.0"),
            ("plan.rtt_ms", "0.0", "40.0"),
        ):
            row = next(line for line in different.splitlines() if line.strip().startswith(name))
            assert one in row and other in row
        assert "settings.gateway.LOG_LEVEL" not in shown
        assert NO_WINNER in " ".join(shown.split())
        assert "fastest" not in shown and "winner" not in shown.replace("no winner", "")

    def test_rates_and_ratios_stand_side_by_side(self, first: Path, second: Path) -> None:
        shown = printed(lambda console: compare((first, second), console))
        row = next(line for line in shown.splitlines() if "direct-single: uploads/s" in line)
        assert row.count("97.0 (94.1 to 99.9)") == 2
        assert "direct-single over proxy-chunked: uploads/s" in shown

    def test_two_equal_runs(self, first: Path, tmp_path: Path) -> None:
        again = make.bundle(tmp_path, make.result(run="20260912-033320-proxyordirect-ci"))
        shown = printed(lambda console: compare((first, again), console))
        assert "They differ in nothing that was recorded, but in time." in shown

    @pytest.mark.parametrize("text", [None, "", "one", "a,b,c"])
    def test_takes_two(self, text: str | None) -> None:
        with pytest.raises(BundleError, match="RUNS= takes two runs"):
            two_runs(text, {})

    def test_both_must_exist(self, first: Path) -> None:
        with pytest.raises(BundleError, match="there is no run gone"):
            two_runs(f"{first.name},gone", {"VAULTBENCH_RESULTS": str(first.parent)})


class TestShare:
    PRIVATE: ClassVar = {
        "a secret of the environment": ("the token was abcdefgh12345", "abcdefgh12345"),
        "a URL's password": ("postgresql://app:pa55word@localhost:5432/db", "pa55word"),
        "a token": ("Bearer eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2lnbmF0dXJlMTIz", "eyJzdWIi"),
        "a signed address": ("http://localhost/x?X-Amz-Signature=deadbeef99", "deadbeef99"),
        "an e-mail address": ("somebody@example.org said", "somebody@"),
        "a folder": ("run in /home/" + "somebody/vaultbench by hand", "somebody"),
        "the checkout": ("run in /anywhere/checkout/results", "/anywhere/checkout"),
        "this host's name": ("on buildbox7, at night", "buildbox7"),
        "another host's name": ("http://store.internal.example:9000/bucket", "internal.example"),
    }
    KEPT = (
        "http://127.0.0.1:8080/api", "http://www.w3.org/2000/svg", "0.5 and/or 2 MiB/s", "</details><td>",
        '"LOG_LEVEL": "info"', '"PASSWORD_HASH": "argon2id"', "POST /auth/login",
    )  # fmt: skip

    @pytest.fixture
    def scrubber(self) -> Scrubber:
        return Scrubber(["abcdefgh12345"], ["buildbox7", "localhost"], ["/anywhere/checkout"])

    @pytest.mark.parametrize("what", PRIVATE)
    def test_takes_out(self, scrubber: Scrubber, what: str) -> None:
        text, private = self.PRIVATE[what]
        assert private not in scrubber.clean(text)

    @pytest.mark.parametrize("text", KEPT)
    def test_leaves(self, scrubber: Scrubber, text: str) -> None:
        assert scrubber.clean(text) == text

    def test_the_zip_holds_the_report_and_records_without_what_is_private(
        self, first: Path, scrubber: Scrubber
    ) -> None:
        manifest = json.loads((first / "manifest.json").read_text())
        manifest["notes"] = {what: text for what, (text, _) in self.PRIVATE.items()}
        manifest["settings"]["auth"] = {"AUTH_URL": "http://10.1.2.3:9/x"}
        (first / "manifest.json").write_text(json.dumps(manifest))
        data, left_out = packed(first, markdown_block(read_run(first)), scrubber)
        assert left_out == []
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = {name.partition("/")[2] for name in archive.namelist()}
            held = "\n".join(archive.read(name).decode() for name in archive.namelist())
        assert {BLOCK, "analysis.json", "manifest.json", "plan.json"} <= names
        for private in (
            "10.1.2.3",
            "pa55word",
            "buildbox7",
            "internal.example",
            "somebody",
        ):
            assert private not in held, private

    def test_a_secret_that_was_recorded_is_taken_out_of_every_file(
        self, first: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        manifest = json.loads((first / "manifest.json").read_text())
        manifest["settings"]["auth"] = {"JWT_SIGNING_KEY": "not-to-be-seen", "PASSWORD_HASH": "argon2id"}
        (first / "manifest.json").write_text(json.dumps(manifest))
        monkeypatch.setattr(sharing, "write_report", lambda path: None)  # its records are not whole
        (first / "report.html").write_text("<td>JWT_SIGNING_KEY</td><td>not-to-be-seen</td><td>argon2id</td>")
        shown = printed(lambda console: sharing.share(first, {"PASSWORD_HASH": "argon2id"}, console))
        assert "Direct in one PUT is the fastest" in shown
        with zipfile.ZipFile(first.parent / f"{first.name}.zip") as archive:
            held = [archive.read(name).decode() for name in archive.namelist()]
        assert not any("not-to-be-seen" in text for text in held)
        assert sum("argon2id" in text for text in held) == 2

    def test_equal_runs_give_equal_bytes(self, first: Path, scrubber: Scrubber) -> None:
        block = markdown_block(read_run(first))
        assert packed(first, block, scrubber) == packed(first, block, scrubber)

    def test_what_does_not_fit_is_left_out_least_wanted_first(self, first: Path, scrubber: Scrubber) -> None:
        whole, _ = packed(first, "block", scrubber)
        data, left_out = packed(first, "block", scrubber, most_bytes=len(whole) - 1)
        assert len(data) < len(whole) and left_out == ["warnings.json"]
        with pytest.raises(BundleError, match="does not fit"):
            packed(first, "block", scrubber, most_bytes=10)

    def test_the_block_can_be_pasted(self, first: Path) -> None:
        block = markdown_block(read_run(first))
        assert block.startswith("**Proxy or direct?**")
        assert (
            "| Direct in one PUT | 97.0 (94.1 to 99.9) | 9.50 (9.21 to 9.79) | 264 ms | 1.15 (1.11 to 1.20) |"
            in block
        )
        assert "2 cores" in block and "valid" in block

    def test_secrets_of_the_settings_file_are_known(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".env").write_text("UPLOAD_DB_PASSWORD='open-sesame-1'\nLOG_LEVEL=information\n")
        monkeypatch.setattr(sharing, "ROOT", tmp_path)
        scrubber = Scrubber.of_machine({})
        assert scrubber.clean("open-sesame-1 information") == "<secret> information"
