"""Where the arms of a command run: which stacks and which networks they need, and what stacks take.

Arms that differ in what a client does share a stack; settings, parts, revisions and networks of their own
give them stacks of their own.
"""

from __future__ import annotations

from loadtests.harness.testbeds.network import Link
from loadtests.harness.words import ArmWords, Words

# Of a stack of its own: each of our processes, and what may stand beside them (nginx, pgbouncer, Redis).
PROCESS_BYTES, JOINTS_BYTES, STORE_BYTES = 80 * 1024**2, 60 * 1024**2, 400 * 1024**2


def needs_stacks(words: Words) -> bool:
    """Whether the arms differ in more than what the client does. Another implementation has its own stack."""
    return any(arm.needs_stack for arm in words.arms.values()) or common_link(words) is None


def stacks_of(words: Words) -> dict[str, str]:
    """The stack of each arm, named by the first arm that it serves; "" is the running testbed."""
    if not needs_stacks(words):
        return {name: name if arm.target else "" for name, arm in words.arms.items()}
    found: dict[str, str] = {}
    for name, arm in words.arms.items():
        alike = (one for one in found if _same_stack(words.arms[one], arm, words.every))
        # Arms that are equal in everything are an A/A: two stacks of equal code.
        own = name if arm.target or arm in (words.arms[one] for one in found) else next(alike, name)
        found[name] = found.get(own, own)
    return found


def _same_stack(one: ArmWords, other: ArmWords, every: ArmWords) -> bool:
    def key(arm: ArmWords) -> tuple[object, ...]:
        return arm.stack, arm.processes, arm.revision, arm.target, link_of(arm, every)

    return key(one) == key(other)


def common_link(words: Words) -> Link | None:
    """The network of all arms; nothing where they differ in it."""
    links = {link_of(arm, words.every) for arm in words.arms.values()}
    return links.pop() if len(links) == 1 else None


def link_of(words: ArmWords, every: ArmWords | None = None) -> Link:
    """The network of an arm, where it says one, else that of the run."""
    run = every or ArmWords()
    rtt_ms = run.rtt_ms if words.rtt_ms is None else words.rtt_ms
    bandwidth = run.bandwidth_mbit if words.bandwidth_mbit is None else words.bandwidth_mbit
    return Link(rtt_ms or 0.0, bandwidth)


def stack_bytes(words: Words) -> int:
    """Memory of the stacks that the arms need beside what runs; 0 where the running testbed serves them."""
    if not needs_stacks(words):
        return 0
    own_stores = any("STORE" in arm.stack for arm in words.arms.values())
    total = 0
    for name, stack in stacks_of(words).items():
        if name == stack and not words.arms[name].target:
            processes = 1 + 3 * int(words.arms[name].stack.get("REPLICAS", "1"))
            total += processes * PROCESS_BYTES + JOINTS_BYTES + (STORE_BYTES if own_stores else 0)
    return total
