"""Closing sentences: what a newcomer should remember, each with the id of what proves it.

Numbers come from the analysis only. An absolute rate on shared processors is called a lower bound,
and a reason is given only where the evidence carries it.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.harness.analysis import words
from loadtests.harness.analysis.knee import TOO_FEW_LEVELS
from loadtests.harness.analysis.model import (
    ArmCapacity,
    Beside,
    Capacity,
    Knee,
    Neighbours,
    Price,
    Ratio,
    Row,
    Sentence,
)
from loadtests.harness.analysis.model import Saturation as Proof
from loadtests.harness.analysis.stats import MIN_PAIRS
from loadtests.harness.records.notes import Target


def capacity_sentence(found: Capacity, names: dict[str, str], *, shared: bool) -> Sentence | None:
    """How much, who is faster, and why if that is known."""
    if not found.ratios:
        return _single_arm(found, names, shared=shared)
    ratio = found.ratios[0]
    if ratio.value is None:
        return None
    if ratio.verdict is None:
        return Sentence(
            kind="answer", text=_refused(found, ratio, names), evidence=_refusal_evidence(found, ratio)
        )
    text = _verdict_words(ratio, names) + ": " + _rates(found, ratio, names, shared=shared)
    return Sentence(kind="answer", text=text + _reason(found, ratio, names) + ".", evidence=ratio.id)


def _verdict_words(ratio: Ratio, names: dict[str, str]) -> str:
    base, arm = names[ratio.base], names[ratio.arm]
    verdict = ratio.verdict or ""
    if verdict.startswith("equivalent"):
        margin = words.percent(ratio.margin)
        return f"{words.capital(arm)} and {base} are equally fast on this machine, within ±{margin}"
    if verdict.startswith(("faster", "slower")):
        first, second = (arm, base) if verdict.startswith("faster") else (base, arm)
        shown = words.faster_first(ratio)
        comparison = f"{words.times(shown)} as fast as {second} on this machine{words.bounds(shown)}"
        return f"{words.capital(first)} is {comparison}"
    measured = f"{arm} measured {words.times(ratio)} as fast as {base}{words.bounds(ratio)}"
    if ratio.n < MIN_PAIRS:
        pairs = f"{words.count(ratio.n, 'pair')} of trials (naming a winner takes {MIN_PAIRS})"
        return f"{words.capital(measured)} in {pairs}"
    return f"No difference was shown between {arm} and {base}; {measured}"


def _rates(found: Capacity, ratio: Ratio, names: dict[str, str], *, shared: bool) -> str:
    least = "at least " if shared else ""
    base, arm = _arm(found.arms, ratio.base), _arm(found.arms, ratio.arm)
    size = words.size(arm.file_size_bytes)
    return (
        f"{least}{words.number(arm.goodput_per_s.value)} verified uploads of {size} per second "
        f"{_by(names[ratio.arm])} and {least}{words.number(base.goodput_per_s.value)} "
        f"{_by(names[ratio.base])}"
    )


def _reason(found: Capacity, ratio: Ratio, names: dict[str, str]) -> str:
    cpu = found.cpu_ratios[0] if found.cpu_ratios else None
    base, arm = _arm(found.arms, ratio.base), _arm(found.arms, ratio.arm)
    busy = words.span(base.host_busy.value, arm.host_busy.value)
    if found.because and cpu and cpu.value:
        cheaper, dearer = (ratio.arm, ratio.base) if cpu.value < 1 else (ratio.base, ratio.arm)
        share = cpu.value if cpu.value < 1 else 1 / cpu.value
        return (
            f", because the processors were {busy} busy and {_one(names[cheaper])} takes "
            f"{words.percent(share)} of the processor time of {_one(names[dearer])}"
        )
    decided = (ratio.verdict or "").startswith(("faster", "slower"))
    return f"; what makes the difference was not identified (processors {busy} busy)" if decided else ""


def _refused(found: Capacity, ratio: Ratio, names: dict[str, str]) -> str:
    measured = " and ".join(
        f"{words.number(_arm(found.arms, arm).goodput_per_s.value)} {_by(names[arm])}"
        for arm in (ratio.base, ratio.arm)
    )
    unproven = [proof for proof in found.saturation if not proof.proven]
    if ratio.refused != "the script set this number" or not unproven:
        return f"No winner is named, because {ratio.refused}; uploads per second were {measured}."
    proof = unproven[0]
    if proof.think_s:
        cause = f"{_predicted(proof)}, and measured were {measured}"
    else:
        cause = f"{proof.vus} clients did not fill it, measured were {measured}"
    return (
        f"The script set this number, not the system: {cause}; "
        f"{proof.more_vus} instead of {proof.vus} clients change it by {words.signed_percent(proof.gain)} "
        f"{_by(names[proof.arm])}, so no winner is named."
    )


def _predicted(proof: Proof) -> str:
    """What clients that pause can ask for at most; shown beside what was measured."""
    pause = f"{proof.vus} clients that pause {words.number(proof.think_s)} s"
    if proof.predicted_per_s is None:
        return f"{pause} asked"
    rate = words.number(proof.predicted_per_s)
    return f"{pause}, divided by pause and waiting time, predict {rate} uploads per second"


def _refusal_evidence(found: Capacity, ratio: Ratio) -> str:
    unproven = [proof.id for proof in found.saturation if not proof.proven]
    return unproven[0] if ratio.refused == "the script set this number" and unproven else ratio.id


def _single_arm(found: Capacity, names: dict[str, str], *, shared: bool) -> Sentence | None:
    for arm in (*found.arms, *found.single, *found.large):
        if arm.goodput_per_s.value is not None:
            least = "at least " if shared else ""
            text = (
                f"{words.capital(names[arm.arm])} carries {least}{words.number(arm.goodput_per_s.value)} "
                f"verified uploads of {words.size(arm.file_size_bytes)} per second on this machine."
            )
            return Sentence(kind="answer", text=text, evidence=arm.id)
    return None


def multipart_note(found: Capacity) -> str:
    """What the store's multipart calls cost, so that it is not mistaken for the path of the bytes."""
    price = found.multipart_price
    if price is None:
        return ""
    return (
        f" One presigned request instead of parts carries {price:.2f} times as much directly: "
        "the rest is the price of the store's multipart calls, not of the path of the bytes."
    )


def journey_sentence(rows: Sequence[Row], names: dict[str, str]) -> Sentence | None:
    """A shape with pauses, which decides nothing."""
    played = [row for row in rows if row.question == "journey" and row.goodput_per_s is not None]
    if not played:
        return None
    rates = " and ".join(f"{words.number(row.goodput_per_s)} {_by(names[row.arm])}" for row in played)
    text = (
        f"With up to {played[0].vus} users who pause between their steps, {rates} verified uploads per "
        "second were measured; the pauses in the script set this rate as long as the system keeps up, "
        "so no winner is named."
    )
    return Sentence(kind="answer", text=text, evidence="comparison")


def targets_sentence(targets: Sequence[Target]) -> Sentence | None:
    """How many of the benchmark's numbers are reached, and which are not."""
    asked = [target for target in targets if target.must is not None]
    if not asked:
        return None
    missed = [target for target in asked if target.reached == "missed"]
    unknown = [target for target in asked if not target.reached]
    text = f"Reached are {len(asked) - len(missed) - len(unknown)} of the {len(asked)} numbers that must be"
    if unknown:
        text += f" and {len(unknown)} were not measured"
    if missed:
        listed = "; ".join(f"{t.quantity}: {_measured(t, t.value)} of {_measured(t, t.must)}" for t in missed)
        text += f". Missed: {listed}"
    return Sentence(kind="answer", text=text + ".", evidence="targets")


def _measured(target: Target, value: float | None) -> str:
    return f"{words.precise(value)}{target.unit}"


def knee_sentence(knees: Sequence[Knee], names: dict[str, str]) -> Sentence | None:
    known = [knee for knee in knees if knee.last_vus is not None]
    if not known:
        return None
    if all(knee.stopped_by == TOO_FEW_LEVELS for knee in known):
        return _short_ramp(known, names)
    busy = words.span(*(knee.host_busy_at_knee for knee in known))
    text = _ends(known, names)
    tail = (
        f"; the processors were {busy} busy there, the bottleneck itself was not identified" if busy else ""
    )
    return Sentence(kind="answer", text=f"{words.capital(text)}{tail}.", evidence=known[0].id)


def _short_ramp(knees: Sequence[Knee], names: dict[str, str]) -> Sentence:
    """What a ramp of so few steps measured: a curve, but no end of it."""
    parts = []
    for knee in knees:
        rates = [
            words.number(p.goodput_per_s.value) for p in knee.points if p.goodput_per_s.value is not None
        ]
        change = f"went from {rates[0]} to {rates[-1]}" if len(rates) > 1 else f"came to {rates[0]}"
        parts.append(f"{names[knee.arm]} {change} uploads per second")
    # only levels that have a rate: where every upload was too few, the ramp began later
    levels = sorted({p.vus for k in knees for p in k.points if p.goodput_per_s.value is not None})
    if len(levels) > 1:
        start, few = f"From {levels[0]} to {levels[-1]} uploads at once", "these levels are too few"
    else:
        start, few = f"With {words.count(levels[0], 'upload')} at once", "one level is too little"
    text = f"{start} {' and '.join(parts)}; {few} to say where more stop helping."
    return Sentence(kind="answer", text=text, evidence=knees[0].id)


def _ends(knees: Sequence[Knee], names: dict[str, str]) -> str:
    """Where each arm stops gaining; the unit stands once."""
    ended = [knee for knee in knees if knee.gains_until_vus is not None]
    rest = [knee for knee in knees if knee.gains_until_vus is None]
    levels = {knee.gains_until_vus for knee in ended}
    if len(ended) > 1 and len(levels) == 1:
        both = " and ".join(names[knee.arm] for knee in ended)
        parts = [f"{both} stop gaining at {ended[0].gains_until_vus} uploads at once"]
    else:
        parts = [f"{names[k.arm]} stops gaining at {k.gains_until_vus} uploads at once" for k in ended[:1]]
        parts += [f"{names[knee.arm]} at {knee.gains_until_vus}" for knee in ended[1:]]
    if rest:
        gaining = " and ".join(names[knee.arm] for knee in rest)
        last = " and ".join(dict.fromkeys(str(knee.last_vus) for knee in rest))
        parts.append(f"{gaining} still gained at {last} uploads at once, the last level that was reached")
    return ", ".join(parts)


def neighbours_sentence(found: Neighbours, names: dict[str, str]) -> Sentence | None:
    for share, q in (("95 of 100", "p95"), ("half of the", "p50")):
        known = [arm for arm in found.arms if getattr(arm, f"login_{q}").value is not None]
        beside = [arm for arm in known if arm.upload_rate_per_s]
        if beside and found.rate_per_s is not None:
            alone = next((arm for arm in known if not arm.upload_rate_per_s), None)
            text = (
                f"While {words.number(found.rate_per_s)} uploads per second arrive, {share} logins take "
                f"at most {_listed(beside, alone, names, f'login_{q}')}; {share} file lists at most "
                f"{_listed(beside, alone, names, f'list_{q}')}"
            )
            few = f". {beside[0].login_p50.n} logins are too few to judge the slowest" if q == "p50" else ""
            return Sentence(kind="answer", text=f"{text}{few}.", evidence=found.id)
    return None


def _listed(beside: Sequence[Beside], alone: Beside | None, names: dict[str, str], field: str) -> str:
    parts = [
        f"{words.milliseconds(getattr(arm, field).value)} beside {names[arm.arm]}"
        for arm in beside
        if getattr(arm, field).value is not None
    ]
    quiet = getattr(alone, field).value if alone else None
    return " and ".join(parts) + (f" ({words.milliseconds(quiet)} with nobody uploading)" if quiet else "")


def price_sentence(
    prices: Sequence[Price], names: dict[str, str], arms: Sequence[str], *, login_each: bool = False
) -> Sentence | None:
    chosen = [price for price in prices if price.arm in arms and price.system_cpu_s is not None]
    if not chosen:
        return None
    parts = [f"{words.milliseconds((p.system_cpu_s or 0) * 1000)} {_by(names[p.arm])}" for p in chosen]
    text = "In processor time an upload costs " + " and ".join(parts) + ", login apart"
    through = [p for p in chosen if p.gateway_bytes_in is not None]
    if through:
        bytes_in = (f"{p.gateway_bytes_in:.1f} times {_by(names[p.arm])}" for p in through)
        text += "; its bytes pass the gateway " + " and ".join(bytes_in)
    logins = [p for p in chosen if login_each and p.authentication_cpu_s is not None]
    if logins:
        costs = (
            f"{words.milliseconds((p.authentication_cpu_s or 0) * 1000)} {_by(names[p.arm])}" for p in logins
        )
        text += (
            f". The login before every upload costs {' and '.join(costs)} more: the hash of the password "
            "and its look-up"
        )
    return Sentence(kind="answer", text=text + ".", evidence="price")


def _by(name: str) -> str:
    return "directly" if name == "direct" else f"by {name}"


def _one(name: str) -> str:
    return "a direct upload" if name == "direct" else f"one by {name}"


def _arm(arms: Sequence[ArmCapacity], name: str) -> ArmCapacity:
    return next(arm for arm in arms if arm.arm == name)
