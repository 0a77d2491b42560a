"""satae-train and its peers, side by side: ``make bench``.

Every alternation measures each tool once on each workload, one after the other on a machine that is otherwise idle; a
ratio is taken within an alternation, its median over them. The tables say which ratios may not be believed, and why.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import machine, plan, report, validity
from benchmarks.measurement import Measurement
from benchmarks.tools import ROOT, Setting

QUICK: Final = 1280  # images of each split


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alternations", type=int, help=f"default {validity.ALTERNATIONS}, the least that is valid")
    parser.add_argument("--only", default=",".join(plan.PLAN), help="some of %(default)s")
    parser.add_argument("--quick", action="store_true", help=f"a smoke test: 2 alternations of {QUICK} images")
    parser.add_argument("--limit", type=int, help="images of each split, instead of the workload's number")
    parser.add_argument("--patience", type=float, help="seconds to wait for an idle machine; default 20, or 0 if quick")
    parser.add_argument("--peers-python", type=Path, default=ROOT / ".venv-peers" / "bin" / "python")
    parser.add_argument("--out", type=Path, help="folder for the results; default outputs/bench-<date>")
    chosen = parser.parse_args(words)
    chosen.only = list(dict.fromkeys(chosen.only.split(",")))
    if unknown := set(chosen.only) - plan.PLAN.keys():
        parser.error(f"--only: no {', '.join(sorted(unknown))}; choose of {', '.join(plan.PLAN)}")
    chosen.alternations = chosen.alternations or (2 if chosen.quick else validity.ALTERNATIONS)
    chosen.limit = chosen.limit or (QUICK if chosen.quick else None)
    chosen.patience = (0.0 if chosen.quick else 20.0) if chosen.patience is None else chosen.patience
    chosen.out = (chosen.out or ROOT / "outputs" / f"bench-{datetime.now(UTC):%Y-%m-%d-%H-%M}").resolve()
    return chosen


def setting(chosen: argparse.Namespace) -> Setting:
    """Where and how much, with the images written for the peers."""
    python, work = Path(sys.executable), chosen.out / "work"
    subprocess.run([python, "-m", "benchmarks.export", work / "data"], cwd=ROOT, check=True)
    return Setting(
        folder=work / "now",
        data=work / "data",
        python=python,
        peers=chosen.peers_python.absolute(),  # not resolved: the environment is found by the link's place
        jobs=machine.cores(),
        limit=chosen.limit,
        patience=chosen.patience,
    )


def tell(found: Measurement) -> None:
    """One line of progress."""
    figures = found.figures
    numbers = "  ".join(f"{name} {figures[name]:,.4g}" for name in ("samples_per_s", "wall_s") if name in figures)
    quiet = f"  others {found.quiet.others:.0%}, steal {found.quiet.steal:.1%}" if found.quiet.disturbed else ""
    print(f"{found.alternation + 1}  {found.workload:6}{found.tool:20}{found.failed or numbers}{quiet}", flush=True)


def main() -> None:
    """Measure, and write what came of it."""
    chosen = parse()
    there = setting(chosen)
    attempts = 1 if chosen.quick else plan.ATTEMPTS
    found = list[Measurement]()
    for alternation in range(chosen.alternations):
        for task in plan.plan(chosen.only, alternation):
            found.append(plan.repeated_if_disturbed(partial(plan.measure, there, *task, alternation), attempts))
            tell(found[-1])
            lines = [measurement.plain() for measurement in found]  # after each: an interrupted hour is not lost
            (chosen.out / "measurements.json").write_text(json.dumps(lines, indent=1), encoding="utf-8")
    facts = {**machine.facts(), "jobs": there.jobs, "options": " ".join(sys.argv[1:]) or "none"}
    print(report.write(chosen.out, found, facts, chosen.limit))
    shutil.rmtree(chosen.out / "work")


if __name__ == "__main__":
    main()
