"""From an experiment and its overrides to trials, in an order drawn by seed before anything runs.

Two numbers are known only later: the VUs that saturate (after the ramp) and the offered rate of the
neighbours (after the pairs). The plan is therefore drawn in three stages; what a stage adds is recorded.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from loadtests.harness.planning.experiment import Arm, Experiment, Profile, Saturation
from loadtests.harness.planning.overrides import MAX_VUS, Overrides
from loadtests.harness.planning.plan_arms import chosen_arms
from loadtests.harness.planning.plan_estimate import Estimate, estimate
from loadtests.harness.strategies import Strategy
from loadtests.harness.records.model import Load, Plan, Question, TrialPlan
from loadtests.harness.records.switchback import level_of, switchback

# Uploads in a row that a VU should manage in a turn of the proof: the first and the last do not count.
UPLOADS_PER_TURN = 5
ALONE = "none"  # arm of a neighbours trial without uploads
# VUs kept ready for one upload per second, as seconds one upload may take, before k6 makes more.
SECONDS_PER_ARRIVAL = 4.0


MIN_CONTROL_PAIRS = 6  # of a repeated A/A comparison, as of every verdict


@dataclass(slots=True)
class Planner:
    """Draws trials stage by stage and numbers them in the order planned."""

    run: str
    experiment: Experiment
    overrides: Overrides
    strategies: Mapping[str, Strategy]
    arms: tuple[Arm, ...] = ()
    trials: list[TrialPlan] = field(default_factory=list)
    _random: random.Random = field(default_factory=random.Random)
    _numbered: int = 0

    def __post_init__(self) -> None:
        self.arms = chosen_arms(self.experiment, self.overrides, self.strategies)
        self._random = random.Random(self.experiment.seed)

    @property
    def profile(self) -> Profile:
        return self.experiment.profile(self.overrides.profile)

    @property
    def file_size_bytes(self) -> int:
        return self.overrides.file_size_bytes or self.profile.file_size_bytes

    @property
    def deciding(self) -> list[str]:
        """Arms of the paired comparison; the first is what the others are compared with."""
        return [arm.strategy for arm in self.arms if self._decides(arm)]

    @property
    def beside(self) -> list[str]:
        """Arms that run beside the pairs, without a verdict."""
        return [arm.strategy for arm in self.arms if not self._decides(arm)]

    def _decides(self, arm: Arm) -> bool:
        return self.strategies[arm.strategy].manifest.verdict if arm.verdict is None else arm.verdict

    def vus(self, count: float) -> int:
        return max(1, min(MAX_VUS, round(count * self.overrides.scale)))

    def given_vus(self) -> int | None:
        """VUs of the pairs where they need no ramp: ``VUS=`` as it is, else the profile's, scaled."""
        if self.overrides.vus is not None:
            return self.overrides.vus
        configured = self.profile.capacity.vus
        return None if configured == "auto" else self.vus(configured)

    def draw_ramp(self) -> list[TrialPlan]:
        """Every step of the ramp, level by level, the arms' order turned round at each level."""
        ramp = self.profile.ramp
        if ramp is None:
            return []
        order, drawn = list(self.deciding), []
        for level in ramp.levels:
            for arm in order:
                load = self._closed(self.vus(level), ramp.warmup_s, ramp.window_s)
                drawn.append(self._trial(Question.RAMP, arm, load, seed=self.experiment.seed + level))
            order.reverse()
        return self._add(drawn)

    def draw_capacity(self, vus: int, *, upload_s: float = 0.0) -> list[TrialPlan]:
        """Blocks of pairs, and in their middles the arms without a verdict and the proof of saturation.

        ``upload_s``: how long an upload is likely to take at ``vus``.
        """
        blocks = self._blocks(vus, self._couples())
        extras = self._extras(vus, upload_s)
        drawn = []
        for index, block in enumerate(blocks):
            middle = len(block) // 2  # so that each has trials of the comparison before and after it
            drawn += [*block[:middle], *extras[index :: len(blocks)], *block[middle:]]
        drawn += self._large()
        return self._add([trial for group in drawn for trial in group])

    def draw_control(self) -> list[TrialPlan]:
        """Fresh pairs of the first arm against itself, after those drawn before came out different."""
        before = [trial for trial in self.trials if trial.pair is not None]
        pairs, blocks = max(t.pair or 0 for t in before) + 1, max(t.block or 0 for t in before) + 1
        vus = before[0].load.vus or 1
        base = before[0].arm if len({t.arm for t in before}) == 1 else (self.deciding or self.beside)[0]
        drawn = self._blocks(vus, [(base, base, MIN_CONTROL_PAIRS)], first_pair=pairs, first_block=blocks)
        return self._add([trial for block in drawn for couple in block for trial in couple])

    def draw_neighbours(self, slower_capacity_per_s: float) -> list[TrialPlan]:
        """Logins and lists alone and beside each arm's uploads, in an order turned round by round."""
        part = self.profile.neighbours
        if part is None:
            return []
        rate = round(part.share * slower_capacity_per_s, 1)
        names, drawn = [ALONE, *self.deciding], []
        for number in range(part.rounds):
            start = number % len(names)
            for arm in [*names[start:], *names[:start]]:
                load = Load(
                    executor="none" if arm == ALONE else "constant-arrival-rate",
                    vus=None if arm == ALONE else max(10, round(rate * SECONDS_PER_ARRIVAL)),
                    max_vus=None if arm == ALONE else max(40, round(rate * SECONDS_PER_ARRIVAL * 4)),
                    rate_per_s=None if arm == ALONE else rate,
                    warmup_s=part.warmup_s,
                    window_s=part.window_s,
                    login_rate_per_s=part.login_rate_per_s,
                    list_rate_per_s=part.list_rate_per_s,
                )
                drawn.append(
                    self._trial(
                        Question.NEIGHBOURS, arm, load, seed=self.experiment.seed + number, block=number
                    )
                )
        return self._add(drawn)

    def drop(self, names: Sequence[str]) -> None:
        """Leave out planned trials that turned out not to be needed (levels past the knee)."""
        self.trials = [trial for trial in self.trials if trial.trial not in set(names)]

    def plan(self) -> Plan:
        """The plan as far as it is drawn."""
        size = self.file_size_bytes
        names = tuple(arm.strategy for arm in self.arms)
        chosen = {name: self.strategies[name] for name in names}
        return Plan(
            run=self.run,
            experiment=self.experiment.id,
            profile=self.overrides.profile,
            seed=self.experiment.seed,
            strategies=names,
            file_size_bytes=size,
            scale=self.overrides.scale,
            overrides=dict(self.overrides.given),
            trials=tuple(self.trials),
            estimated_s=self.estimate().seconds,
            margin=self.profile.margin,
            requests_per_flow={name: strategy.requests_per_flow(size) for name, strategy in chosen.items()},
            statements_per_upload={
                name: float(sum(strategy.expected_statements(strategy.pieces(size)).values()))
                for name, strategy in chosen.items()
            },
            store_requests_per_upload={
                name: float(strategy.expected_store_requests(strategy.pieces(size)))
                for name, strategy in chosen.items()
            },
            strategy_titles={name: strategy.manifest.title for name, strategy in chosen.items()},
            strategy_colours={name: strategy.manifest.colour for name, strategy in chosen.items()},
            factors=("strategy", *self.declared_settings()),
        )

    def declared_settings(self) -> list[str]:
        """Settings in which the arms may differ, as a trial's configuration names them."""
        declared = {
            f"{process}.{name}"
            for arm in self.arms
            for process, variables in arm.environment.items()
            for name in variables
        }
        return sorted(declared)

    def estimate(self) -> Estimate:
        """Trials and seconds of the whole run; what is not resolved yet is taken as likely."""
        ramp = sum(trial.question is Question.RAMP for trial in self.trials)
        known = ramp if ramp < len(self.trials) else None  # what follows the ramp is drawn when it has ended
        arms = {"deciding": len(self.deciding), "beside": len(self.beside)}
        return estimate(self.profile, **arms, ramp_trials=known)

    def _blocks(
        self, vus: int, couples: Sequence[tuple[str, str, int]], *, first_pair: int = 0, first_block: int = 0
    ) -> list[list[list[TrialPlan]]]:
        """Blocks of two pairs each, ABBA or BAAB; an odd last pair is a block of its own."""
        part = self.profile.capacity
        blocks: list[list[list[TrialPlan]]] = []
        pair = first_pair
        for first, second, pairs in couples:
            for start in range(0, pairs, 2):
                a, b = (first, second) if self._random.random() < 0.5 else (second, first)
                order = [(a, b), (b, a)][: min(2, pairs - start)]
                block = []
                for number, couple in enumerate(order):
                    load = self._closed(vus, part.warmup_s, part.window_s)
                    block.append([
                        self._trial(
                            Question.CAPACITY, arm, load, seed=self.experiment.seed + pair, pair=pair,
                            block=first_block + len(blocks), position=2 * number + place,
                        )
                        for place, arm in enumerate(couple)
                    ])  # fmt: skip
                    pair += 1
                blocks.append(block)
        return blocks

    def _couples(self) -> list[tuple[str, str, int]]:
        """(first arm, second arm, number of pairs): each deciding arm against the first, and A/A."""
        part, names = self.profile.capacity, self.deciding
        base = names[0] if names else self.beside[0]
        couples = [(base, other, part.pairs) for other in names[1:]] or [(base, base, part.pairs)]
        if part.control_pairs and len(names) > 1:
            couples.append((base, base, part.control_pairs))
        return couples

    def _extras(self, vus: int, upload_s: float) -> list[list[TrialPlan]]:
        """Groups of trials to be spread between the blocks."""
        part, groups = self.profile.capacity, []
        if self.profile.saturation:
            load, seed = self._to_and_fro(vus, self.profile.saturation, upload_s), self.experiment.seed
            groups += [[self._trial(Question.SATURATION, arm, load, seed=seed)] for arm in self.deciding]
        if self.profile.single:
            load = self._closed(vus, part.warmup_s, part.window_s)
            for number in range(self.profile.single.trials):
                seed = self.experiment.seed + number
                groups.append([self._trial(Question.SINGLE, arm, load, seed=seed) for arm in self.beside])
        return groups

    def _large(self) -> list[list[TrialPlan]]:
        part = self.profile.large
        if part is None:
            return []
        load = self._closed(self.vus(part.vus), part.warmup_s, part.window_s)
        if part.iterations:
            load = load.model_copy(update={"executor": "per-vu-iterations", "iterations": part.iterations})
        size = part.file_size_bytes
        names = [arm.strategy for arm in self.arms]
        seed = self.experiment.seed
        return [[self._trial(Question.LARGE, name, load, seed=seed, size_bytes=size) for name in names]]

    def _closed(self, vus: int, warmup_s: float, window_s: float) -> Load:
        return Load(
            executor="constant-vus",
            vus=vus,
            warmup_s=warmup_s,
            window_s=window_s,
            think_s=self.experiment.think_s,
            login_each=self.overrides.login_each,
        )

    def _to_and_fro(self, vus: int, part: Saturation, upload_s: float) -> Load:
        more, hold_s = max(vus + 1, round(vus * part.factor)), max(part.hold_s, UPLOADS_PER_TURN * upload_s)
        base = self._closed(vus, part.warmup_s, 0.0)
        return switchback(base, more, switches=part.switches, hold_s=hold_s)

    def _trial(
        self,
        question: Question,
        arm: str,
        load: Load,
        *,
        seed: int,
        size_bytes: int | None = None,
        block: int | None = None,
        pair: int | None = None,
        position: int | None = None,
    ) -> TrialPlan:
        return TrialPlan(
            trial="",
            question=question,
            arm=arm,
            file_size_bytes=size_bytes or self.file_size_bytes,
            load=load,
            seed=seed,
            level=level_of(load),
            block=block,
            pair=pair,
            position=position,
            settle_limit_s=self.profile.settle_s,
            rest_s=self.profile.rest_s,
        )

    def _add(self, drawn: Sequence[TrialPlan]) -> list[TrialPlan]:
        named = []
        for trial in drawn:
            self._numbered += 1
            named.append(trial.model_copy(update={"trial": f"t{self._numbered:03d}"}))
        self.trials += named
        return named
