"""Experiment files: the one we ship is right, and a wrong one is refused key by key."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.harness.planning.experiment import EXPERIMENTS_FOLDER, ExperimentError, load_experiment

pytestmark = pytest.mark.unit

EXP07 = EXPERIMENTS_FOLDER / "exp07.yaml"


def test_the_shipped_file_is_valid() -> None:
    experiment = load_experiment(EXP07)
    assert experiment.profile("ci").capacity.pairs == 6
    assert experiment.profile("smoke").ramp is not None and experiment.profile("smoke").saturation is None
    assert experiment.profile("full").capacity.control_pairs == 6


def test_every_problem_is_named_with_key_and_value(tmp_path: Path) -> None:
    text = (
        EXP07.read_text()
        .replace("think_s: 0", "think_s: -1\npauses: 3")
        .replace("factor: 1.5", "factor: 0.5", 1)
    )
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ExperimentError) as caught:
        load_experiment(path)
    message = str(caught.value)
    assert "pauses: 3: this key is not known" in message
    assert "think_s: -1" in message
    assert "profiles.ci.saturation.factor: 0.5" in message
    assert len(message.splitlines()) == 3


def test_an_unknown_experiment_lists_the_known_ones() -> None:
    with pytest.raises(ExperimentError, match="known are exp05, exp07"):
        load_experiment(EXPERIMENTS_FOLDER / "exp99.yaml")
