"""What is given and not measured about a way to upload: what it makes possible, and what people pay."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from loadtests.harness.records.base import Record

# In words, each as what one can do with it. The order of tables.
ABILITIES = {
    "check_content": "check the content before a file of it exists",
    "resume": "go on after a break instead of beginning again",
    "revoke": "take the permission back while it is being used",
    "hide_store": "keep the store out of the clients' sight",
}


class Ability(Record):
    """Whether a strategy makes something possible, why, and the test or code that shows it."""

    able: bool
    why: str = Field(min_length=1)
    proof: str = Field(pattern=r"^[\w./-]+::\w+$")  # "path::name", looked for by a test


class Abilities(Record):
    """One for each of ``ABILITIES``."""

    check_content: Ability
    resume: Ability
    revoke: Ability
    hide_store: Ability


class Way(Record):
    """What is known of an arm's strategy before anything is measured."""

    arm: str
    strategy: str
    title: str  # the strategy's
    client_store_requests: int  # of one upload, that the client sends to the store itself
    abilities: Abilities


def _no_truth_value(value: Any) -> Any:
    """YAML takes yes, no, on and off for true and false, and pydantic those for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("expected a number, 0 or more")
    return value


Amount = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_no_truth_value)]


class UnitPrices(Record):
    """What people pay, in ``currency``; all of it, so that nothing is free because nobody thought of it."""

    currency: str = Field(min_length=1, max_length=8)
    date: datetime.date  # when these were valid
    source: str = Field(min_length=1)
    core_hour: Amount  # one core of our services and databases for an hour
    store_core_hour: Amount  # of the store; 0 where that is paid by requests
    gib_hour: Amount  # 2^30 bytes of memory for an hour
    gateway_gb: Amount  # 10^9 bytes through the gateway
    million_store_requests: Amount
    million_statements: Amount
