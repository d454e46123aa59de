"""What is on record for the prepared questions is what the pages say, and nothing else decides a claim."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs import answers, study
from docs.writing import MOST_BYTES, size_bytes
from loadtests.harness.question import load_question, questions
from loadtests.harness.records.bundle import BundleError
from tests.unit.loadtests import fabricate

pytestmark = pytest.mark.docs
ROOT = Path(__file__).resolve().parents[2]
ASKED = "proxy-or-direct"


def test_the_pages_say_what_is_on_record() -> None:
    stale = [path.name for path, text in answers.pages(answers.answers()).items() if path.read_text() != text]
    assert stale == [], "run python -m docs.answers"


def test_what_is_on_record_is_small_and_of_questions_that_there_are() -> None:
    assert size_bytes(answers.RECORDS) <= MOST_BYTES
    assert {path.name for path in answers.RECORDS.glob("*/")} <= {*questions(), study.NAME}


def test_the_example_of_contributing_is_the_question_itself() -> None:
    text = (ROOT / "loadtests" / "questions" / "pooler.yaml").read_text(encoding="utf-8")
    assert f"```yaml\n{text}```" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    result = fabricate.result().model_copy(update={"question": ASKED})
    return fabricate.bundle(tmp_path / "results", result)


def test_a_run_on_record_decides_the_claims_of_its_question(run: Path, tmp_path: Path) -> None:
    assert answers.take(run, tmp_path) == ASKED
    found = {one.question.name: one for one in answers.answers(tmp_path)}
    claims = {judged.claim.claim: judged.decision.value for judged in found[ASKED].judged()}
    assert "refuted" in claims.values() and "not run" not in claims.values()
    page = answers.claims_page(list(found.values()))
    assert page.count("| not run |") == sum(
        len(load_question(name).claims) for name in questions() if name != ASKED
    )
    told = answers.answers_page(list(found.values()))
    assert "Claimed (GoVault): Direct uploads in parts have 46 % more throughput" in told
    assert told.count("Not asked yet.") == len(questions()) - 1
    (picture,) = answers.pictures(list(found.values()), tmp_path)
    assert picture == tmp_path / f"{ASKED}.svg"


def test_figures_on_record_are_told_in_today_s_words(run: Path, tmp_path: Path) -> None:
    answers.take(run, tmp_path)
    file = tmp_path / ASKED / "analysis.json"
    kept = json.loads(file.read_text(encoding="utf-8"))
    said = kept["sentences"][0]["text"]
    kept["sentences"][0]["text"] = kept["headline"] = "Words of an older version."
    file.write_text(json.dumps(kept), encoding="utf-8")
    page = answers.answers_page(answers.answers(tmp_path))
    assert said in page and "older version" not in page


def test_size_and_distance_make_one_map(tmp_path: Path) -> None:
    sized = fabricate.result().model_copy(update={"question": "size"})
    answers.take(fabricate.bundle(tmp_path / "a", sized), tmp_path)
    ways = [(way, rtt) for rtt in (0, 80) for way in (fabricate.PROXY, fabricate.SINGLE)]
    arms = tuple(
        fabricate.arm(f"{way} at {rtt}", strategy=way, asked={"STRATEGY": way, "RTT_MS": str(rtt)})
        for way, rtt in ways
    )
    near, far = (fabricate.ratio(arms[at].name, arms[at + 1].name, over) for at, over in ((0, 1.0), (2, 0.8)))
    apart = fabricate.result(arms, compare=fabricate.comparison(arms, rates=[near, far], best=None))
    apart = apart.model_copy(update={"question": "distance"})
    answers.take(fabricate.bundle(tmp_path / "b", apart), tmp_path)
    found = answers.answers(tmp_path)
    cells = answers.best_way(found)
    assert cells[fabricate.MIB, 80] == fabricate.PROXY, "the pair of that distance alone"
    assert cells[fabricate.MIB, 0] in ("~", fabricate.SINGLE)
    assert sized.sizes is not None
    assert {size for size, rtt in cells if rtt == 0} == {one.file_size_bytes for one in sized.sizes.sizes}
    assert "| 1 MiB | " in answers.answers_page(found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"profile": "smoke"}, "decides nothing"),
        ({"interrupted": True}, "decides nothing"),
        ({"question": "ab"}, "ab is no prepared question"),
    ],
)
def test_what_decides_nothing_is_not_put_on_record(
    change: dict[str, object], said: str, tmp_path: Path
) -> None:
    result = fabricate.result().model_copy(update={"question": ASKED, **change})
    with pytest.raises(BundleError, match=said):
        answers.take(fabricate.bundle(tmp_path / "results", result), tmp_path)
    assert not (tmp_path / ASKED).exists()
