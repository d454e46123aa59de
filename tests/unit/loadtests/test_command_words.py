"""The words of the command line: what they may be, and everything that is wrong at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadtests.harness import words
from loadtests.harness.records.base import parse_size
from loadtests.harness.words import ArmWords, Words, WordsError, read_ab, read_arm, read_network

pytestmark = pytest.mark.unit

STRATEGIES = ("proxy-chunked", "direct-multipart", "direct-single")
SETTINGS = {
    "gateway": {"RATE_LIMIT": "on or off", "LOG_LEVEL": "one of"},
    "upload": {"DB_POOL_MAX": "an integer", "FINALISE": "one of", "LOG_LEVEL": "one of"},
    "files": {"DB_POOL_MAX": "an integer", "LOG_LEVEL": "one of"},
}
KNOWN = {"A": SETTINGS, "B": SETTINGS}


ARMS = {name: f"STRATEGY={name}" for name in STRATEGIES}


def read_stress(
    typed: dict[str, str], texts: dict[str, str] | None = None, load: dict[str, str] | None = None
) -> Words:
    """As `make stress` reads them, or a question with these arms and words."""
    return words.read_question(
        typed, words.STRESS, STRATEGIES, KNOWN, texts=ARMS if texts is None else texts, load=load or {}
    )


def problems(**typed: str) -> tuple[str, ...]:
    with pytest.raises(WordsError) as caught:
        read_ab(typed, STRATEGIES, KNOWN)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [("64", 64), ("1MiB", 1024**2), ("1.5 MB", 1_500_000), ("64kib", 65536), ("1GiB", 1024**3)],
)
def test_sizes(text: str, expected: int) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize("text", ["", "big", "1XB", "-1", "1,5MB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_size(text)


class TestTheRun:
    def test_nothing_said_is_the_ci_profile(self) -> None:
        found = read_stress({})
        assert (found.profile, list(found.arms), found.every, found.given) == (
            "ci", list(STRATEGIES), ArmWords(), {},
        )  # fmt: skip

    def test_every_word(self) -> None:
        found = read_stress(
            {"PROFILE": "full", "PRECISION": "3%", "BUDGET_S": "600", "SEED": "5", "LOGIN": "each",
             "VUS": "8", "STRATEGIES": "direct-single, proxy-chunked", "FILE_SIZE": "2MiB",
             "RTT_MS": "40", "BANDWIDTH_MBIT": "2.5", "KEEP_ALIVE": "off", "READS": "3", "SCRAPE": "on"},
        )  # fmt: skip
        assert found.precision == pytest.approx(0.03)
        assert (found.profile, found.budget_s, found.seed, found.login_each) == ("full", 600, 5, True)
        assert list(found.arms) == ["direct-single", "proxy-chunked"]
        assert found.every == ArmWords(
            file_size_bytes=2 * 1024**2, vus=8, rtt_ms=40, bandwidth_mbit=2.5, keep_alive=False, reads=3,
            scraped=True,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("name", "value", "said"),
        [
            ("PROFILE", "smok", "did you mean smoke?"),
            ("PRECISION", "0", "half-width"),
            ("BUDGET_S", "1", "10 to 604800"),
            ("SEED", "-1", "a whole number"),
            ("VUS", "0", "1 to 2000"),
            ("FILE_SIZE", "2GiB", "64 bytes to 1GiB"),
            ("RTT_MS", "2.5", "whole milliseconds, 0 to 5000"),
            ("BANDWIDTH_MBIT", "nan", "0.01"),
            ("STRATEGIES", "direct-single,direct-single", "each once"),
            ("STRATEGIES", "proxy", "names of"),
            ("LOGIN", "never", "prepared, each"),
            ("KEEP_ALIVE", "yes", "on, off"),
            ("READS", "1000", "0 to 100"),
        ],
    )
    def test_impossible_values_are_named_with_what_is_possible(
        self, name: str, value: str, said: str
    ) -> None:
        with pytest.raises(WordsError) as caught:
            read_stress({name: value})
        (problem,) = caught.value.problems
        assert problem.startswith(f"{name}={value}: expected ")
        assert said in problem

    def test_demo_and_smoke_take_a_network_and_nothing_else(self) -> None:
        exported_for_another = {"RTT_MS": "40", "VUS": "3"}
        assert read_network(exported_for_another) == ArmWords(rtt_ms=40)
        with pytest.raises(WordsError) as caught:
            read_network({"RTT_MS": "x", "BANDWIDTH_MBIT": "0"})
        refused = [problem.partition(" ")[0] for problem in caught.value.problems]
        assert sorted(refused) == ["BANDWIDTH_MBIT=0:", "RTT_MS=x:"]

    def test_one_of_a_few_may_be_written_in_capitals(self) -> None:
        found = read_stress({"PROFILE": "Full", "LOGIN": "EACH", "STRATEGIES": "Proxy-Chunked"})
        assert (found.profile, found.login_each, list(found.arms)) == ("full", True, ["proxy-chunked"])


class TestAQuestion:
    def test_its_load_holds_until_somebody_types_otherwise(self) -> None:
        load = {"VUS": "50", "FILE_SIZE": "64KiB", "LOGIN": "each"}
        found = read_stress({"VUS": "8", "Q": "x"}, load=load)
        assert (found.every.vus, found.every.file_size_bytes, found.login_each) == (8, 65536, True)
        assert found.given == {"VUS": "8"}, "what the question says itself was not typed"

    def test_strategies_take_the_place_of_strategies_only(self) -> None:
        with pytest.raises(WordsError, match="STRATEGIES: the arms of this question are not strategies"):
            read_stress({"STRATEGIES": "direct-single"}, {"a": "DB_POOL_MAX=5", "b": "DB_POOL_MAX=6"})

    def test_a_word_that_every_arm_says_itself_would_change_nothing(self) -> None:
        with pytest.raises(WordsError, match="FILE_SIZE: every arm of this question says its own"):
            read_stress({"FILE_SIZE": "2MiB"}, {"a": "FILE_SIZE=1KiB", "b": "FILE_SIZE=2KiB"})
        arms = {"a": "VUS=2", "b": "FILE_SIZE=1KiB"}
        assert read_stress({"VUS": "4"}, arms).every.vus == 4

    def test_an_arm_that_downloads_has_no_way_to_upload(self) -> None:
        texts = {"a": "DOWNLOAD=Presigned", "b": "DOWNLOAD=proxied FILE_SIZE=1KiB"}
        found = read_stress({"VUS": "4"}, texts).arms
        assert found["a"] == ArmWords(download="presigned")
        assert not any(arm.needs_stack for arm in found.values())
        with pytest.raises(WordsError, match=r"READS: every arm .* says its own or only downloads"):
            read_stress({"READS": "2"}, texts)

    def test_before_the_services_are_asked_any_setting_is_taken(self) -> None:
        texts = {"a": "DB_POOL_MAX=5 upload.FINALISE=inline VUS=2", "b": "REPLICAS=2"}
        wrong: list[str] = []
        known = words.as_typed(texts)
        arms = {name: read_arm(name, text, STRATEGIES, known[name], wrong) for name, text in texts.items()}
        assert wrong == [] and all(arm.needs_stack for arm in arms.values())
        assert known["b"] == {}

    def test_several_processes_need_the_topology_that_has_them(self) -> None:
        assert problems(A="REPLICAS=2 TOPOLOGY=single") == ("A: REPLICAS=2: several need TOPOLOGY=scaled",)


class TestArms:
    def test_a_setting_is_for_every_service_that_reads_it_or_for_one(self) -> None:
        found = read_ab({"A": "DB_POOL_MAX=5", "B": "upload.DB_POOL_MAX=7"}, STRATEGIES, KNOWN).arms
        assert found["A"].processes == {"upload": {"DB_POOL_MAX": "5"}, "files": {"DB_POOL_MAX": "5"}}
        assert found["B"].processes == {"upload": {"DB_POOL_MAX": "7"}}
        assert found["A"].asked == {"DB_POOL_MAX": "5"}
        assert found["A"].needs_stack

    def test_words_of_the_client_need_no_stack(self) -> None:
        found = read_ab({"A": "STRATEGY=proxy-chunked", "B": "STRATEGY=direct-single FILE_SIZE=64MiB VUS=4"},
                        STRATEGIES, {})  # fmt: skip
        assert found.arms["B"] == ArmWords(strategy="direct-single", file_size_bytes=64 * 1024**2, vus=4)
        assert not any(arm.needs_stack for arm in found.arms.values())

    def test_parts_beside_our_processes(self) -> None:
        found = read_ab(
            {"A": "POOLER=none", "B": "POOLER=pgbouncer REPLICAS=2 STORE=versitygw"}, STRATEGIES, KNOWN
        )
        assert found.arms["B"].stack == {"POOLER": "pgbouncer", "REPLICAS": "2", "STORE": "versitygw"}

    def test_who_downloads_says_so_in_the_arm_and_nothing_of_uploads(self) -> None:
        found = read_ab({"A": "DOWNLOAD=batch", "B": "DOWNLOAD=proxied"}, STRATEGIES, {}).arms
        assert (found["A"].download, found["B"].download) == ("batch", "proxied")
        assert problems(A="DOWNLOAD=presined", B="DOWNLOAD=proxied STRATEGY=direct-single READS=2") == (
            "A: DOWNLOAD=presined: expected one of proxied, presigned, batch; did you mean presigned?",
            "B: STRATEGY=direct-single: an arm with DOWNLOAD uploads nothing",
            "B: READS=2: an arm with DOWNLOAD uploads nothing",
        )
        assert "DOWNLOAD" not in words.NAMES, "a whole run has both"

    def test_quotes_hold_a_value_together(self) -> None:
        known = {"gateway": {"RATE_LIMIT_TIERS": "a comma list"}}
        wrong: list[str] = []
        found = read_arm("A", "RATE_LIMIT_TIERS='standard=5, gold=9'", STRATEGIES, known, wrong)
        assert (found.processes, wrong) == ({"gateway": {"RATE_LIMIT_TIERS": "standard=5, gold=9"}}, [])

    def test_alone_it_is_an_a_a(self) -> None:
        found = read_ab({}, STRATEGIES, {}).arms
        assert found["A"] == found["B"] == ArmWords()

    def test_base_is_a_revision_against_the_working_tree(self) -> None:
        texts = words.arm_texts({"BASE": "origin/main", "B": "FINALISE=detached"})
        assert {arm: words.revision_of(text) for arm, text in texts.items()} == {"A": "origin/main", "B": ""}
        found = read_ab({"BASE": "origin/main", "B": "FINALISE=detached"}, STRATEGIES, KNOWN).arms
        assert (found["A"].revision, found["B"].revision) == ("origin/main", "")
        assert found["B"].processes == {"upload": {"FINALISE": "detached"}}

    def test_target_is_the_second_arm(self) -> None:
        found = read_ab({"TARGET": "http://127.0.0.1:8080/"}, STRATEGIES, {}).arms
        assert (found["A"].target, found["B"].target) == (None, "http://127.0.0.1:8080")

    def test_processes_are_those_of_the_target(self, tmp_path: Path) -> None:
        (tmp_path / "pids").write_text(f"server {os.getpid()}\n")
        found = read_ab({"TARGET": "http://127.0.0.1:8080", "PIDS": f"{tmp_path}/pids"}, STRATEGIES, {}).arms
        assert (found["A"].pids, found["B"].pids) == ((), (("server", os.getpid()),))

    def test_what_cannot_be_done_to_a_target_or_without_one(self, tmp_path: Path) -> None:
        (tmp_path / "pids").write_text(f"server {os.getpid()}\n")
        at, pids = "http://127.0.0.1:8080", f"{tmp_path}/pids"
        assert problems(TARGET=at, B="FINALISE=inline REPLICAS=2") == (
            "B: FINALISE, REPLICAS: another implementation is not ours to set",
        )
        assert problems(TARGET=at, BASE="main") == ("B: REVISION: another implementation is not ours to set",)
        assert problems(TARGET=at, RTT_MS="20")[0].startswith("B: RTT_MS and BANDWIDTH_MBIT do not go with")
        assert problems(TARGET=at, A=f"TARGET={at}/other") == (
            "one of the arms must be ours: TARGET stands in one of them",
        )
        assert problems(PIDS=pids) == (
            "PIDS names processes of another implementation, and there is no TARGET",
        )
        assert problems(TARGET=at, PIDS=f"{tmp_path}/no") == (
            f"PIDS={tmp_path}/no: expected a file with `name pid` in each line, of processes that run",
        )

    def test_what_may_be_lost(self) -> None:
        assert read_ab({}, STRATEGIES, KNOWN).fail_on_loss is None
        assert read_ab({"FAIL_ON_LOSS": "10%"}, STRATEGIES, KNOWN).fail_on_loss == pytest.approx(0.1)
        assert problems(FAIL_ON_LOSS="10") == (
            "FAIL_ON_LOSS=10: expected a share such as 0.1 or 10%, from 0.5% to 50%",
        )
        assert problems(FAIL_ON_LOSS="10%", PROFILE="smoke") == (
            "FAIL_ON_LOSS: a smoke run shows no difference; use PROFILE=ci",
        )

    def test_only_settings_and_parts_have_to_be_looked_up(self) -> None:
        assert not words.asks_for_settings("STRATEGY=x FILE_SIZE=1 VUS=2 RTT_MS=3 BANDWIDTH_MBIT=4")
        assert words.asks_for_settings("STRATEGY=x FINALISE=inline")
        assert words.asks_for_settings("REPLICAS=2")


class TestEverythingWrongAtOnce:
    def test_all_of_it_in_one_message(self) -> None:
        found = problems(
            A="FINALSE=inline upload.RATE_LIMIT=off FILE_SIZE=3x oops",
            B="STRATEGY=direct-singel PROFILE=ci uplaod.FINALISE=inline REPLICAS=99",
            SEED="x",
        )
        assert found == (
            "A: FINALSE is read by nobody; did you mean FINALISE?",
            "A: upload does not read RATE_LIMIT; gateway does",
            "A: oops: expected NAME=value, or service.NAME=value",
            "A: FILE_SIZE=3x: expected bytes or a size such as 1MiB, from 64 bytes to 1GiB",
            "B: PROFILE is for the whole run; it stands before A and B",
            "B: uplaod.FINALISE: no such service; there are gateway, upload, files",
            "B: REPLICAS=99: expected a whole number from 1 to 8",
            "B: STRATEGY=direct-singel: expected one of proxy-chunked, direct-multipart, direct-single; "
            "did you mean direct-single?",
            "SEED=x: expected a whole number",
        )

    def test_arms_that_are_written_alike(self) -> None:
        (found,) = problems(A="VUS=4 FILE_SIZE=1MiB", B="FILE_SIZE=1048576 VUS=4")
        assert found.startswith("A and B are the same.")

    def test_a_setting_said_twice(self) -> None:
        assert problems(A="DB_POOL_MAX=5 upload.DB_POOL_MAX=6") == ("A: DB_POOL_MAX is said twice, 5 and 6",)

    def test_base_does_not_go_with_a_revision_of_an_arm(self) -> None:
        assert problems(BASE="main", B="REVISION=other") == ("B: REVISION is said twice,  and other",)

    def test_an_open_quote(self) -> None:
        assert "quotation" in problems(A="FINALISE='inline")[0].lower()
