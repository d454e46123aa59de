"""From a bundle to ``analysis.json`` and ``table.csv``: equal bundles give equal bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loadtests.harness.analysis import sentences, words
from loadtests.harness.analysis.alerts import alerts
from loadtests.harness.analysis.capacity import capacity as capacity_of
from loadtests.harness.analysis.facts import Facts, read_facts
from loadtests.harness.analysis.guards_measures import NO_UPLOADS
from loadtests.harness.analysis.guards_run import OWN_CORES, run_warnings
from loadtests.harness.analysis.knee import knees
from loadtests.harness.analysis.model import Analysis, Capacity, Ratio, Sentence
from loadtests.harness.analysis.neighbours import cdfs, neighbours
from loadtests.harness.analysis.outcome import Outcome, judge_outcome
from loadtests.harness.analysis.price import prices
from loadtests.harness.analysis.reach import failures, ledger_view, reach
from loadtests.harness.analysis.series import timeline
from loadtests.harness.analysis.table import table, table_csv
from loadtests.harness.records.bundle import Bundle, BundleWriter
from loadtests.harness.records.model import Question

ANALYSIS = "analysis.json"
TABLE = "table.csv"
SIGNIFICANT_DIGITS = 6
FALLBACK_COLOURS = ("#c2410c", "#1d4ed8", "#0f766e", "#7c3aed", "#a16207", "#be185d", "#475569")


def analyse_bundle(path: Path) -> Analysis:
    """Analyse the bundle at ``path`` and write ``analysis.json`` and ``table.csv`` into it."""
    analysis = analyse(read_facts(Bundle(path)))
    writer = BundleWriter(path)
    writer.write_json(ANALYSIS, analysis.model_dump(mode="json"))
    (path / TABLE).write_text(table_csv(analysis.table), encoding="utf-8")
    return analysis


def read_analysis(path: Path) -> Analysis:
    """The analysis of a bundle, made first where it is absent."""
    stored = path / ANALYSIS
    return Analysis.model_validate_json(stored.read_bytes()) if stored.exists() else analyse_bundle(path)


def analyse(facts: Facts) -> Analysis:
    warnings = run_warnings(facts)
    found = capacity_of(facts, warnings)
    books = ledger_view(facts)
    outcome = judge_outcome(facts, warnings, found, books)
    source, distributions = cdfs(facts)
    names = words.short_names(_all_arms(facts), _compared(facts))
    parts: dict[str, Any] = {
        "run": facts.manifest.run,
        "experiment": facts.manifest.experiment,
        "profile": facts.manifest.profile,
        "validity": outcome.validity,
        "exit_code": outcome.exit_code,
        "exit_reason": outcome.reason,
        "interrupted": facts.manifest.interrupted,
        "verdict_line": verdict_line(found, names),
        "sentences": closing(facts, found=found, outcome=outcome, names=names),
        "next_command": outcome.next_command,
        "arms": _all_arms(facts),
        "names": names,
        "colours": _colours(facts),
        "capacity": found,
        "knees": knees(facts),
        "neighbours": neighbours(facts),
        "prices": prices(facts),
        "cdfs": distributions,
        "cdf_source": source,
        "table": table(facts, found),
        "ledger": books,
        "failures": failures(facts),
        "targets": facts.targets,
        "reach": reach(facts),
        "alerts": alerts(facts),
        "timeline": timeline(facts),
        "warnings": warnings,
        "conditions": _conditions(facts),
    }
    return Analysis.model_validate(_rounded(Analysis.model_construct(**parts).model_dump(mode="json")))


def closing(
    facts: Facts,
    *,
    found: Capacity | None,
    outcome: Outcome,
    names: dict[str, str],
) -> tuple[Sentence, ...]:
    """What is wrong first, then the answers to the four questions as far as they were measured."""
    shared = (facts.cores or OWN_CORES) < OWN_CORES
    priced = prices(facts)
    compared = facts.deciding_arms or tuple(price.arm for price in priced[:2])
    beside = neighbours(facts)
    answers = (
        sentences.capacity_sentence(found, names, shared=shared) if found else None,
        sentences.journey_sentence(table(facts, found), names),
        sentences.targets_sentence(facts.targets),
        sentences.knee_sentence(knees(facts), names),
        sentences.neighbours_sentence(beside, names) if beside else None,
        sentences.price_sentence(
            priced, names, compared, login_each=facts.manifest.overrides.get("LOGIN") == "each"
        ),
    )
    return (*outcome.sentences, *(answer for answer in answers if answer))


def verdict_line(found: Capacity | None, names: dict[str, str]) -> str:
    if found is None or not found.ratios:
        return "no comparison was made"
    return "; ".join(_verdict(ratio, names) for ratio in found.ratios)


def _verdict(ratio: Ratio, names: dict[str, str]) -> str:
    """The faster arm comes first, as in the sentence above it."""
    shown = words.faster_first(ratio)
    base, arm = names[shown.base], names[shown.arm]
    if shown.verdict is None:
        return f"{arm} and {base}: none ({shown.refused})"
    measured = f"{words.ratio(shown)}, {words.count(shown.n, 'pair')}, margin ±{words.percent(shown.margin)}"
    if shown.verdict == "~":
        return f"no difference between {arm} and {base} shown ({measured})"
    return f"{arm} is {words.standing(shown, base)} ({measured})"


def _compared(facts: Facts) -> tuple[str, ...]:
    """Arms that stand beside each other and may go by their first word."""
    return facts.deciding_arms or facts.arms(Question.JOURNEY) or facts.arms(Question.CAPACITY)


def _all_arms(facts: Facts) -> tuple[str, ...]:
    tried = (trial.plan.arm for trial in facts.trials if trial.plan.arm != NO_UPLOADS)
    return tuple(dict.fromkeys((*facts.plan.strategies, *tried)))


def _colours(facts: Facts) -> dict[str, str]:
    declared = facts.plan.strategy_colours
    spare = [colour for colour in FALLBACK_COLOURS if colour not in declared.values()]
    others = [arm for arm in _all_arms(facts) if arm not in declared]
    return {**declared, **{arm: spare[i % len(spare)] for i, arm in enumerate(others)}}


def _conditions(facts: Facts) -> dict[str, Any]:
    manifest = facts.manifest
    return {
        "started_at": manifest.started_at,
        "ended_at": manifest.ended_at,
        "command": manifest.command,
        "git_revision": manifest.git_revision,
        "git_dirty": manifest.git_dirty,
        "runtime": manifest.runtime,
        "host": manifest.host,
        "tools": manifest.tools,
        "overrides": manifest.overrides,
        "scale": facts.plan.scale,
        "file_size_bytes": facts.plan.file_size_bytes,
        "margin": facts.plan.margin,
        "verified_how": manifest.verified_how,
    }


def _rounded(value: Any) -> Any:
    """Six significant digits: more would only be the noise of the last bit."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if abs(value) < 1e9 else value
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return value
