"""``make report``: what a run found, written and said again."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from loadtests.harness.govault import report as study
from loadtests.harness.govault.records import is_study
from loadtests.harness.records.bundle import Bundle
from loadtests.harness.report.page import write_report
from loadtests.harness.report.terminal import print_result


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
