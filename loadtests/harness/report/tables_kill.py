"""Tables of kills in mid-load: what clients were told, what is there, and what counting rounds would say."""

from __future__ import annotations

from loadtests.harness.records.result import Kills
from loadtests.harness.report.charts import Arms
from loadtests.harness.report.table import Table
from loadtests.harness.stories.ghosts import ended
from loadtests.harness.wording import milliseconds


def summary(arms: Arms, found: Kills) -> Table:
    """What clients were told, and what is there."""
    return Table(
        "summary",
        "After the kills",
        f"Uploads around kills of the {found.service} service. There: as it was sent. Gone: acknowledged to "
        "a client, and not there. Users who lack a file were told of more than they have.",
        ("arm", "began", "acknowledged", "there", "gone", "users", "lack a file", "have none"),
        tuple(
            (
                arms.name(one.arm), f"{one.began:,}", f"{one.acknowledged:,}", f"{one.kept:,}",
                f"{one.gone:,}", f"{one.users:,}", f"{one.users_short:,}", f"{one.users_without_file:,}",
            )
            for one in found.arms
        ),
    )  # fmt: skip


def kills(arms: Arms, found: Kills) -> Table:
    return Table(
        "kills",
        "Kills, rounds and folders",
        "Rounds are uploads that ended for the client, well or not, as a load generator counts iterations. "
        "Less users with a file (a folder each) they give a number that has nothing to do with what is gone. "
        "There, never ended: the file is there, and its upload says for ever that it has not ended.",
        ("arm", "kills", "rounds", "users with a file", "rounds less these", "gone", "gone by kill",
         "there, never ended", "failed for the client", "of these there", "objects without a row",
         "served again after"),
        tuple(
            (
                arms.name(one.arm), str(len(one.kills)), f"{ended(one):,}", f"{one.users_with_file:,}",
                f"{ended(one) - one.users_with_file:,}", f"{one.gone:,}",
                ", ".join(f"{killed.gone:,}" for killed in one.kills), f"{one.unfinished:,}",
                f"{one.failed:,}", f"{one.late:,}", f"{one.orphans:,}",
                ", ".join(milliseconds(_ms(killed.away_s)) for killed in one.kills),
            )
            for one in found.arms
        ),
        tuple(one.id for one in found.arms),
        spare=("gone by kill", "there, never ended", "failed for the client", "of these there",
               "objects without a row", "served again after"),
    )  # fmt: skip


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
