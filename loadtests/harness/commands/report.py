"""``make report``: what a run found, written and said again."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from loadtests.harness.govault import report as study
from loadtests.harness.govault.records import is_study
from loadtests.harness.plan.prices import PricesError, read_prices
from loadtests.harness.records.bundle import Bundle, BundleWriter
from loadtests.harness.report.page import write_report
from loadtests.harness.report.terminal import print_result
from loadtests.harness.words import WordsError


def finish(path: Path, console: Console) -> int:
    """Analyse a bundle, write its report and print it; the run's exit code.

    Raises ``BundleError``.
    """
    if is_study(path):
        found = study.write_report(path)
        study.print_findings(found, path, console)
        return found.exit_code
    result = write_report(path)
    print_result(result, Bundle(path).plan(), path, console)
    return result.exit_code


def report(path: Path, prices: str | None, console: Console) -> int:
    """The same, with the prices of a file in the place of those that the run was given, if any.

    Raises ``BundleError``, and ``WordsError`` where the file cannot be used or there is nothing to price.
    """
    if prices and is_study(path):
        raise WordsError([f"PRICES: {path.name} is a study, which prices nothing"])
    if prices:
        plan = Bundle(path).plan()
        try:
            found = read_prices(Path(prices))
        except PricesError as error:
            raise WordsError(f"PRICES={prices}: {one}" for one in error.problems) from error
        if not plan.ways:
            raise WordsError(
                [f"PRICES: {path.name} compares no different ways, so there is nothing to price"]
            )
        BundleWriter(path).write_plan(plan.model_copy(update={"prices": found}))
    return finish(path, console)
