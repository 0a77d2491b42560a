"""The tables, as Markdown and JSON, and the plot."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any, Final

from benchmarks import machine, plot
from benchmarks.measurement import Measurement, Quantity
from benchmarks.plan import ATTEMPTS, PLAN, SPEEDS
from benchmarks.rows import ROWS, Result, Row, result
from benchmarks.tools import SIDE_EPOCHS
from benchmarks.validity import RULE
from benchmarks.workloads import ALPHA, BATCH, LEARNING_RATE, NOISE, WORKLOADS, sizes

WHOLE: Final = (*SPEEDS, "W3", "start")
SAME: Final = f"""\
Fashion-MNIST, batches of {BATCH}, Adam {LEARNING_RATE:g}, gaussian noise of {NOISE}, relu, alpha {ALPHA}. samples/s are
those of the last epoch's training pass; a whole process is everything from its start to its end."""
COSTS: Final = f"""\
Logging and checkpoints: their time over that of training and themselves, in a run of {SIDE_EPOCHS} epochs (python -m
benchmarks.side_costs); measuring both splits after each epoch is listed separately. Overhead of a run: (jobs * wall
time of the sweep - time in which each run trains, measures and draws, by its own events) / runs."""


def write(folder: Path, measurements: list[Measurement], facts: dict[str, Any], limit: int | None) -> str:
    """Write report.md, report.json and report.png into a folder; the Markdown.

    Args:
        folder: to write to.
        measurements: to tell of.
        facts: of the machine and the call.
        limit: images of each split, where not all were used.
    """
    results = [found for row in ROWS if (found := result(row, measurements, limit))]
    text = markdown(results, measurements, facts, limit)
    (folder / "report.md").write_text(text, encoding="utf-8")
    rows = [{**found._asdict(), "row": found.row._asdict(), "verdict": found.verdict} for found in results]
    plain = {"facts": facts, "rows": rows, "measurements": [m.plain() for m in measurements]}
    (folder / "report.json").write_text(json.dumps(plain, indent=1), encoding="utf-8")
    plot.draw(folder / "report.png", results, measurements)
    return text


def markdown(
    results: Sequence[Result], measurements: list[Measurement], facts: dict[str, Any], limit: int | None
) -> str:
    """All tables."""
    versions = {name: number for m in measurements for name, number in m.versions.items()}
    parts = [
        "# satae-train and its peers",
        "; ".join(f"{name} {value}" for name, value in facts.items()) + ".",
        "Versions: " + ", ".join(f"{name} {number}" for name, number in sorted(versions.items())) + ".",
        _models(limit) + "\n" + SAME,
        table(["", "median", "min to max", "floor", "aim", "reached"], map(_row, results)),
        COSTS + "\n" + RULE + "\n" + _disturbance(measurements),
        "## Samples a second",
        _by_tool(measurements, SPEEDS, "samples_per_s", "{:,.0f}"),
        "## Whole process, seconds",
        _by_tool(measurements, WHOLE, "wall_s", "{:.2f}"),
        "## Peak memory of the process, MB",
        _by_tool(measurements, SPEEDS, "peak_mb", "{:,.0f}"),
        "## Final validation total",
        table(["workload", "tool", "mean", "standard deviation", "seeds"], _losses(measurements)),
        _further(measurements),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _models(limit: int | None) -> str:
    """The workloads, in words."""
    lines = []
    for name, workload in WORKLOADS.items():
        images, times = limit or workload.limit or "all", f"{workload.runs} runs of " * (workload.runs > 1)
        mlp = "MLP " + "-".join(map(str, sizes(workload.widths))) if workload.widths else ""
        model = mlp or f"convolutions {workload.channels}, code {workload.code}, and their mirror image"
        lines += [f"{name}: {times}{model}, {images} images, epochs {workload.epochs}."]
    return "\n".join(lines)


def _number(row: Row, value: float) -> str:
    return f"{100 * value:.1f} %" if row.unit == "%" else f"{value:.2f}" + (" s" if row.unit == "s" else "")


def _row(found: Result) -> list[str]:
    row, sign = found.row, "<= " if found.row.less_is_better else ""
    spread = f"{_number(row, min(found.values))} to {_number(row, max(found.values))}"
    bounds = (sign + _number(row, bound) for bound in (row.floor, row.aim))
    return [row.title, _number(row, found.median), spread, *bounds, found.verdict]


def _disturbance(measurements: Sequence[Measurement]) -> str:
    disturbed = [m for m in measurements if m.quiet.disturbed]
    rule = (
        f"A measurement is disturbed if others used more than {machine.OTHERS:.0%} of the time of all cores, or"
        f" the host of a virtual machine took more than {machine.STEAL:.0%}; it is then made again, up to"
        f" {ATTEMPTS} times in all."
    )
    names = [f"{m.workload} {m.tool} in alternation {m.alternation + 1}" for m in disturbed]
    return f"{rule} Disturbed in the end: {', '.join(names) or 'none'}, of {len(measurements)}."


def _by_tool(measurements: list[Measurement], workloads: Sequence[str], figure: str, form: str) -> str:
    shown = [name for name in workloads if any(m.workload == name and figure in m.figures for m in measurements)]
    tools = dict.fromkeys(tool for name in shown for tool in PLAN[name])
    cells = {tool: [cell(Quantity(name, tool, figure), measurements, form) for name in shown] for tool in tools}
    rows = [[tool, *row] for tool, row in cells.items() if any(row)]
    return table(["tool", *shown], rows) if rows else ""


def cell(quantity: Quantity, measurements: list[Measurement], form: str) -> str:
    """The median of a quantity and its range."""
    values = [m.figures[quantity.figure] for m in quantity.among(measurements) if not m.failed]
    if not values:
        return ""
    middle, least, most = (form.format(value) for value in (median(values), min(values), max(values)))
    return f"{middle} ({least} to {most})"


def _losses(measurements: Sequence[Measurement]) -> Iterable[list[str]]:
    for workload, tool in dict.fromkeys(m.of for m in measurements):
        losses = [loss for m in measurements if m.of == (workload, tool) for loss in m.losses]
        if losses:
            spread = f"{stdev(losses):.5f}" if len(losses) > 1 else ""
            yield [workload, tool, f"{mean(losses):.5f}", spread, str(len(losses))]


def _further(measurements: list[Measurement]) -> str:
    """Figures that explain others."""
    quantities = {
        "fp32 product of two 2048 x 2048 matrices, GFLOP/s": (Quantity("W1", "gemm", "gflops"), "{:,.0f}"),
        "the nine products of a step of W1, GFLOP/s": (Quantity("W1", "gemm", "gflops of a step"), "{:,.0f}"),
        "measuring, share of W1's time": (Quantity("W1", "side costs", "measuring"), "{:.1%}"),
        "W3 satae, seconds of a worker for a run beyond its training alone": (
            Quantity("W3", "satae", "beyond_training_s"),
            "{:.2f}",
        ),
    }
    cells = [[name, cell(quantity, measurements, form)] for name, (quantity, form) in quantities.items()]
    found = [row for row in cells if row[1]]
    failed = [f"- {m.workload} {m.tool}, alternation {m.alternation + 1}: {m.failed}" for m in measurements if m.failed]
    further = "## Further\n\n" + table(["", "median (min to max)"], found) if found else ""
    return further + ("\n\n## Failed\n\n" + "\n".join(failed) if failed else "")
