"""Charts of slow clients: memory of gateway and upload by how many there are, and what others wait."""

from __future__ import annotations

from loadtests.harness.analysis.crowd import fullest
from loadtests.harness.comparison import scaled
from loadtests.harness.records.result import Crowd
from loadtests.harness.report import charts_answers
from loadtests.harness.report.charts import MUTED, Arms, Chart, curve, figure, heading, marks, to_svg
from loadtests.harness.wording import mebibytes, size

MIB = 1024**2


def others(arms: Arms, found: Crowd) -> Chart | None:
    """What logins and lists take beside the most clients; nothing where no login has an interval."""
    full = fullest(found)
    shown = [one.beside for one in full if one.beside and one.beside.login_p95.ms.low is not None]
    meanwhile = f"while {full[0].clients} slow clients uploaded"
    return charts_answers.others(arms, shown, "crowd-others", meanwhile)


def crowd(arms: Arms, found: Crowd) -> Chart | None:
    """A line for each arm, and what it would be if every file were held, above the least that was."""
    shown = [cell for cell in found.cells if cell.most_bytes.value is not None]
    if not shown:
        return None
    levels = sorted({cell.clients for cell in shown})
    with figure(4.0) as (drawn, (axes,)):
        for arm in dict.fromkeys(cell.arm for cell in shown):
            held = [(cell.clients, scaled(cell.most_bytes, 1 / MIB)) for cell in shown if cell.arm == arm]
            curve(axes, held, arms.colour(arm), arms.name(arm))
        least = min((cell.most_bytes.value or 0.0) / MIB for cell in shown)
        sent = [least + clients * found.file_size_bytes / MIB for clients in levels]
        axes.plot(levels, sent, color=MUTED, linewidth=1, linestyle=":", label="A whole file for each client")
        marks(axes.xaxis, levels)
        axes.set_ylim(0)
        axes.set_xlabel("slow clients at once")
        heading(axes, "most memory of gateway and upload, MiB")
        drawn.legend(loc="outside upper left", ncols=2, handlelength=1.4, columnspacing=1.2)
        svg = to_svg(drawn, "crowd")
    values = "; ".join(
        f"{arms.name(cell.arm)} with {cell.clients}: {mebibytes(cell.most_bytes)}" for cell in shown
    )
    return Chart(
        "crowd",
        "Memory by the number of slow clients",
        f"Each client sends files of {size(found.file_size_bytes)}. Dotted: what it would be if a whole file "
        "were held for each. Upright lines are 95 % intervals over turns. Every way has processes of its "
        "own, which met the fewest clients first.",
        f"Most memory of gateway and upload together by slow clients at once: {values}",
        svg,
    )
