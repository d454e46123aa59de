"""What our own parts buy: whole environments, turned order, ratios of the same round."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

import gateway.settings
import services.auth.settings
import services.files.settings
import services.upload.settings
from loadtests.harness.planning.arms import processes_of
from loadtests.harness.planning.experiment import ExperimentError
from loadtests.harness.planning.own_parts import FILE, load_own_parts, parts_plan, parts_trials
from loadtests.harness.planning.strategies import load_strategies
from services.kit.settings import ProcessSettings

pytestmark = pytest.mark.unit
SETTINGS: dict[str, type[ProcessSettings]] = {
    "gateway": gateway.settings.Settings,
    "auth": services.auth.settings.Settings,
    "upload": services.upload.settings.Settings,
    "files": services.files.settings.Settings,
}


def test_every_arm_sets_what_the_processes_know_and_own_is_the_default() -> None:
    declared = load_own_parts()
    assert set(declared.processes) == set(SETTINGS)
    for arm in declared.arms:
        for process, variables in declared.environment(arm).items():
            known = {field.alias: field for field in SETTINGS[process].model_fields.values()}
            for name, value in variables.items():
                assert value in get_args(known[name].annotation)
                if arm == "own":
                    assert known[name].default == value


def test_an_arm_changes_its_setting_wherever_it_exists_and_nothing_else() -> None:
    declared = load_own_parts()
    for arm, changed in declared.arms.items():
        for process, variables in declared.environment(arm).items():
            usual = declared.processes[process]
            assert set(variables) == set(usual)
            different = {name for name, value in variables.items() if value != usual[name]}
            assert different == set(changed) & set(usual)


def test_arms_and_strategies_take_turns_and_all_processes_restart() -> None:
    declared = load_own_parts()
    trials = parts_trials(declared)
    round_size = len(declared.arms) * len(declared.strategies)
    assert len(trials) == declared.rounds * round_size
    led = [trials[number * round_size] for number in range(declared.rounds)]
    assert len({item.arm for item in led}) == min(declared.rounds, len(declared.arms))
    for number in range(declared.rounds):
        pairs = [(item.arm, item.plan.arm) for item in trials if item.plan.block == number]
        assert len(set(pairs)) == round_size
    assert all(processes_of(item.rig_arms(declared)) == sorted(SETTINGS) for item in trials)
    plan = parts_plan("r", declared, trials, load_strategies())
    assert [one.trial for one in plan.trials] == sorted(one.trial for one in plan.trials)


def test_every_problem_of_the_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "own-parts.yaml"
    path.write_text(FILE.read_text().replace("rounds: 3 ", "rounds: 0 ").replace("vus: 32", "vus: none"))
    with pytest.raises(ExperimentError) as raised:
        load_own_parts(path)
    assert {line.split(": ")[1] for line in str(raised.value).splitlines()} == {"vus", "rounds"}
    path.write_text(FILE.read_text().replace("{DB_POOL: asyncpg}", "{DB_POL: asyncpg}"))
    with pytest.raises(ExperimentError, match="DB_POL"):
        load_own_parts(path)
