"""The benchmark's table from its trials: ratios to bare PUTs of the same run, never absolute gates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from loadtests.harness.analysis.price import peak_memory
from loadtests.harness.commands.bench_plan import ARMS, DIRECT, MAIN_VUS, MIB, PROXY
from loadtests.harness.strategies import Strategy
from loadtests.harness.records.model import Trial
from loadtests.harness.records.vocabulary import STORES, service_of
from loadtests.harness.running.raw import RAW_ARM

SERVICES = ("gateway", "auth", "upload", "files", "pg-auth", "pg-upload", "pg-files")
SHARE_OF_RAW = {PROXY: (0.45, 0.60), DIRECT: (0.42, 0.50)}  # must, stretch
CPU_RATIO = {PROXY: (1.5, 1.0), DIRECT: (1.0, 0.6)}
LARGE_SHARE = (0.55, 0.70)
MEMORY_MB = (110.0, 64.0)
MB = 1_000_000

Group = Sequence[tuple[str, Trial]]


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a measured value, what it must reach and what would be better still."""

    quantity: str
    value: float | None
    must: float | None
    stretch: float | None
    more_is_better: bool = True
    unit: str = ""

    @property
    def reached(self) -> str:
        if self.value is None or self.must is None or self.stretch is None:
            return ""
        sign = 1 if self.more_is_better else -1
        if sign * self.value >= sign * self.stretch:
            return "stretch"
        return "must" if sign * self.value >= sign * self.must else "missed"


def rows(trials: Group, strategies: Mapping[str, Strategy]) -> list[Row]:
    """The whole table. ``trials`` are (group, trial) pairs in the order run."""
    found = [*_shares(trials), *_cpu(trials), *_large(trials), *_counts(trials, strategies)]
    return [*found, *_memory(trials), *_levels(trials)]


def of(trials: Group, group: str, arm: str) -> list[Trial]:
    return [trial for name, trial in trials if name == group and trial.plan.arm == arm]


def share_of_raw(trials: Group, group: str, arm: str) -> float | None:
    """Median over the rounds of uploads/s over raw PUTs/s of the same round."""
    raws = {trial.plan.block: trial.goodput_per_s for trial in of(trials, group, RAW_ARM)}
    ratios = [
        trial.goodput_per_s / raws[trial.plan.block]
        for trial in of(trials, group, arm)
        if raws.get(trial.plan.block)
    ]
    return median(ratios) if ratios else None


def cpu_s(trial: Trial, names: Sequence[str]) -> float:
    return sum(use.cpu_s for use in trial.processes if service_of(use.name) in names)


def cpu_per_upload(trials: Sequence[Trial], names: Sequence[str]) -> float | None:
    """CPU-seconds per upload (or PUT), the median of the trials."""
    values = [cpu_s(trial, names) / trial.uploads_in_window for trial in trials if trial.uploads_in_window]
    return median(values) if values else None


def by_process(trials: Group, arm: str) -> dict[str, float]:
    """CPU-milliseconds per upload of every process, at the main level: where the time goes."""
    own = of(trials, "main", arm)
    names = sorted({service_of(use.name) for trial in own for use in trial.processes})
    values = {name: cpu_per_upload(own, [name]) for name in names}
    return {name: value * 1000 for name, value in values.items() if value is not None}


def _shares(trials: Group) -> list[Row]:
    raw = of(trials, "main", RAW_ARM)
    reference = median([trial.goodput_per_s for trial in raw]) if raw else None
    quantity = f"raw PUTs/s, 1 MiB, {MAIN_VUS} VUs"
    shares = [
        Row(f"{arm}: uploads/s over raw PUTs/s", share_of_raw(trials, "main", arm), *SHARE_OF_RAW[arm])
        for arm in ARMS
    ]
    return [Row(quantity, reference, None, None), *shares]


def _cpu(trials: Group) -> list[Row]:
    per_put = cpu_per_upload(of(trials, "main", RAW_ARM), STORES)
    found = []
    for arm in ARMS:
        own = cpu_per_upload(of(trials, "main", arm), SERVICES)
        ratio = own / per_put if own is not None and per_put else None
        quantity = f"{arm}: CPU of services and databases per upload over MinIO's per raw PUT"
        found.append(Row(quantity, ratio, *CPU_RATIO[arm], more_is_better=False))
    return found


def _large(trials: Group) -> list[Row]:
    return [
        Row(f"{PROXY}: {group} uploads/s over raw PUTs/s", share_of_raw(trials, group, PROXY), *LARGE_SHARE)
        for group in ("10 MiB", "100 MiB")
    ]


def _counts(trials: Group, strategies: Mapping[str, Strategy]) -> list[Row]:
    """Statements and store requests per upload, over all uploads of the main level."""
    found = []
    for arm in ARMS:
        own = of(trials, "main", arm)
        pieces = strategies[arm].pieces(MIB)
        uploads = sum(trial.k6.iterations for trial in own)
        if not uploads:
            continue
        statements = sum(sum(trial.counters.statements.values()) for trial in own) / uploads
        store = sum(sum(trial.counters.store_requests.values()) for trial in own) / uploads
        expected = float(sum(strategies[arm].expected_statements(pieces).values()))
        asked = float(strategies[arm].expected_store_requests(pieces))
        found.append(
            Row(f"{arm}: statements per upload", statements, expected, expected, more_is_better=False)
        )
        found.append(Row(f"{arm}: store requests per upload", store, asked, asked, more_is_better=False))
    return found


def _memory(trials: Group) -> list[Row]:
    found = []
    for name in ("gateway", "upload"):
        peak = peak_memory(of(trials, "memory", PROXY)).get(name)
        quantity = f"peak memory of {name}, 100 uploads of 10 MiB at once"
        value = None if peak is None else peak / MB
        found.append(Row(quantity, value, *MEMORY_MB, more_is_better=False, unit=" MB"))
    return found


def _levels(trials: Group) -> list[Row]:
    rates: dict[tuple[int, str], list[float]] = defaultdict(list)
    for group, trial in trials:
        if group in ("main", "levels") and trial.plan.arm in ARMS:
            rates[(trial.plan.load.vus or 0, trial.plan.arm)].append(trial.goodput_per_s)
    return [
        Row(f"{arm}: uploads/s at {vus} VUs", median(values), None, None)
        for (vus, arm), values in sorted(rates.items())
    ]
