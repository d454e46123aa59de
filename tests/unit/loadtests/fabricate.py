"""Makes plausible bundles without a system: arithmetic in, records out, by the real writer.

The numbers obey the laws the guards check (Little, utilisation, conservation), so a bundle made with
the default recipe is valid, and a test breaks exactly one thing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from loadtests.harness.analysis.facts import Facts, read_facts
from loadtests.harness.records.bundle import Bundle, BundleWriter
from loadtests.harness.records.model import Load, Manifest, Plan, Question, Severity, Trial, TrialPlan, Warn
from loadtests.harness.records.switchback import switchback
from tests.unit.loadtests.fabricate_recipe import (
    ARMS,
    CORES,
    DIRECT,
    MIB,
    PROXY,
    SHORT,
    SINGLE,
    SMOKE,
    STARTED_AT,
    Arm,
    Recipe,
)
from tests.unit.loadtests.fabricate_trial import TrialMaker

__all__ = ["ARMS", "DIRECT", "PROXY", "SHORT", "SINGLE", "SMOKE", "Arm", "Recipe"]


def fabricate(folder: Path, recipe: Recipe | None = None) -> Path:
    """Write one whole bundle and return its folder."""
    recipe = recipe or Recipe()
    maker = _Maker(recipe)
    path = folder / f"20260917-120000-EXP-07-{recipe.profile}"
    writer = BundleWriter(path)
    plans = maker.plans()
    writer.write_plan(maker.plan(path.name, plans))
    ended = STARTED_AT
    for index, plan in enumerate(plans):
        cut = recipe.cut_after is not None and index >= recipe.cut_after
        if cut and recipe.cut_after is not None and index > recipe.cut_after:
            break
        ended = maker.write_trial(writer, plan, interrupted=cut)
    writer.write_manifest(maker.manifest(path.name, ended))
    writer.write_warnings(())
    return path


class _Maker(TrialMaker):
    def plans(self) -> list[TrialPlan]:
        recipe, plans = self.recipe, list[TrialPlan]()

        def add(question: Question, arm: str, load: Load, **more: object) -> None:
            label = f"{load.rate_per_s:g} uploads/s" if load.rate_per_s else f"{load.vus} VU"
            fields: dict[str, object] = {"file_size_bytes": MIB, "level": label, "seed": recipe.seed, **more}
            plans.append(
                TrialPlan.model_validate(
                    {
                        "trial": f"t{len(plans) + 1:03d}",
                        "question": question,
                        "arm": arm,
                        "load": load,
                        **fields,
                    }
                )
            )

        for level in recipe.ramp:
            for arm in (PROXY, DIRECT):
                add(Question.RAMP, arm, self._closed(level, 4.0), seed=recipe.seed + level)
        for pair, couple in enumerate(self._couples()):
            for position, arm in enumerate(couple):
                add(
                    Question.CAPACITY, arm, self._closed(recipe.vus, recipe.window_s),
                    pair=pair, block=pair // 2, position=2 * (pair % 2) + position, seed=recipe.seed + pair,
                )  # fmt: skip
        if recipe.saturation:
            for arm in (PROXY, DIRECT):
                add(Question.SATURATION, arm, self._to_and_fro(round(recipe.vus * 1.5)))
        if recipe.single:
            for _ in range(2):
                add(Question.SINGLE, SINGLE, self._closed(recipe.vus, recipe.window_s))
        if recipe.large:
            for arm in (PROXY, DIRECT):
                add(Question.LARGE, arm, self._closed(4, recipe.window_s), file_size_bytes=12 * MIB)
        if recipe.neighbours:
            for arm in ("none", PROXY, DIRECT) * 2:
                add(Question.NEIGHBOURS, arm, self._open(0.0 if arm == "none" else 26.4))
        return plans

    def _couples(self) -> list[tuple[str, str]]:
        pairs = self.recipe.pairs
        if self.recipe.order == "AAABBB":
            return [(PROXY, DIRECT)] * pairs
        return [(PROXY, DIRECT) if pair % 2 == 0 else (DIRECT, PROXY) for pair in range(pairs)]

    def _closed(self, vus: int, window_s: float) -> Load:
        return Load(
            executor="constant-vus", vus=vus, warmup_s=2, window_s=window_s, think_s=self.recipe.think_s
        )

    def _to_and_fro(self, more: int) -> Load:
        load = self._closed(self.recipe.vus, 0.0).model_copy(update={"warmup_s": 0.0})
        return switchback(load, more, switches=2, hold_s=3.0)

    def _open(self, rate: float) -> Load:
        return Load(
            executor="constant-arrival-rate" if rate else "none", rate_per_s=rate or None,
            vus=80 if rate else None, warmup_s=2, window_s=9, login_rate_per_s=7, list_rate_per_s=8,
        )  # fmt: skip

    def plan(self, run: str, trials: list[TrialPlan]) -> Plan:
        arms = self.recipe.arms
        return Plan.model_validate(
            {
                "run": run, "experiment": "EXP-07", "profile": self.recipe.profile, "seed": self.recipe.seed,
                "strategies": tuple(arms), "file_size_bytes": MIB, "scale": 1.0, "overrides": {},
                "trials": trials, "estimated_s": 470.0, "margin": 0.10,
                "requests_per_flow": {name: arm.requests for name, arm in arms.items()},
                "statements_per_upload": {name: arm.statements for name, arm in arms.items()},
                "store_requests_per_upload": {name: arm.store_requests for name, arm in arms.items()},
                "strategy_colours": {PROXY: "#c2410c", DIRECT: "#1d4ed8", SINGLE: "#0f766e"},
                "strategy_titles": {
                    PROXY: "Through the server, in chunks",
                    DIRECT: "Straight to the store, in parts",
                    SINGLE: "Straight to the store, in one request",
                },
            }
        )  # fmt: skip

    def manifest(self, run: str, ended_at: float) -> Manifest:
        return Manifest(
            run=run, experiment="EXP-07", profile=self.recipe.profile,
            started_at=STARTED_AT, ended_at=ended_at,
            interrupted=self.recipe.cut_after is not None, git_revision="0" * 40, git_dirty=False,
            command="make stress", overrides={},
            host={"cpu_model": "Fabricated CPU", "cores": CORES, "memory_bytes": 8 << 30, "kernel": "6.1.0"},
            tools={"minio": "fabricated", "k6": "fabricated", "python": "3.11", "postgres": "16"},
            settings={"gateway": {"LOG_LEVEL": "info"}}, databases={"upload_db": {"fsync": "on"}},
            scripts={"main.js": "0" * 64}, seeds={"order": self.recipe.seed},
            verified_how="200 objects read back and hashed, size and ETag for the rest",
        )  # fmt: skip


def with_process(trial: Trial, name: str, **changes: object) -> Trial:
    uses = tuple(use.model_copy(update=changes) if use.name == name else use for use in trial.processes)
    return trial.model_copy(update={"processes": uses})


def facts_of(folder: Path, recipe: Recipe) -> Facts:
    """What analysis reads of a bundle made by the recipe."""
    return read_facts(Bundle(fabricate(folder, recipe)))


def recipe(**changes: object) -> Recipe:
    return replace(Recipe(), **changes)  # type: ignore[arg-type]


def warns(trial: Trial) -> list[Warn]:
    """Warnings as the running side records them."""
    share = Warn(
        code="noisy-host", severity=Severity.CAUTION, message="the host did not fall quiet",
        metric="quiet wait",
        value=15.0, limit=15.0, advice="close other programs", trial=trial.plan.trial,
    )  # fmt: skip
    return [share]
