"""``satae-report outputs/...``: write a page about the runs in some folders."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from satae import signals
from satae.cli import app
from satae.errors import ConfigError
from satae.messages import did_you_mean, one_line
from satae.page import PROGRAM

HELP: Final = f"""\
{PROGRAM} writes a report of runs: a page that opens in a browser, its
figures as PNG and SVG, its numbers as CSV.

  {PROGRAM} outputs/2026-01-31/12-00-00-000000
  {PROGRAM} outputs/first outputs/second out=both

  {PROGRAM} diff outputs/first/alpha=0 outputs/first/alpha=0.1

  FOLDER ...   run directories, or folders of sweeps; the runs of all folders go
               into one report
  out          the folder of the report; the default is report/ in the named
               folder, or report-<n>/ in the current folder if several are
               named. An earlier report there is replaced
  diff A B     write no page: print in which choices and versions two runs, or
               two folders of runs that differ in their seeds alone, differ,
               and their measures with paired 95 % intervals; diff A B --json
               prints JSON. A folder called diff is named as ./diff

The page has a summary in words; reconstruction and saturated fraction against
alpha, or against the first number that varies, for each configuration of the
other options, with 95 % intervals over the seeds; one against the other;
reconstructions and filters side by side; tables of configurations, runs and
failures; commands and versions. The page of a single run shows its losses and
its saturated fraction over the epochs instead. Results of satae-eval have a
section with figures of their own, with a verdict beside every accuracy under
attack.

  index.html      the page
  runs.csv        each run: status, options, final metrics
  groups.csv      each configuration and metric: n, mean, standard deviation,
                  95 % interval
  evaluation.csv  all numbers that satae-eval wrote for the runs

  --version    show the version"""


def main() -> int:
    """Run ``satae-report``; returns the exit code."""
    signals.end_without_traceback()  # until the program handles signals
    return app.run(PROGRAM, run_command, help_text=HELP)


def run_command(words: Sequence[str]) -> str | int:
    """Write the report that the words of a command line ask for; returns the lines to print, or the exit code."""
    if words[0] == "diff":
        return show_difference(words[1:])
    from satae.page.sources import left_out_text, waiting_lines
    from satae.page.writing import write_report

    folders, out = parse_words(words)
    lines = [one_line(write_report(folders, out))]
    if left_out := left_out_text(folders):
        lines.append(left_out)
    return "\n".join([*lines, *waiting_lines(folders)])


def show_difference(words: Sequence[str]) -> str | int:
    """Print in what two folders differ; returns the JSON to print, or the exit code.

    Raises:
        ConfigError: the words are not two folders, or the folders cannot be compared.
    """
    from satae.page.sources import find_runs
    from satae.sweeps import difference
    from satae.sweeps.results import read_run

    folders, as_json = parse_difference(words)
    first, second = ([read_run(run) for run in find_runs(Path(os.path.expanduser(name)))] for name in folders)
    found = difference.compare(folders, (first, second))
    if as_json:
        return found.as_json()
    difference.print_difference(found)
    return app.output_exit_code()


def parse_difference(words: Sequence[str]) -> tuple[tuple[str, str], bool]:
    """The two folders that the words after ``diff`` name, and whether JSON is wanted.

    Raises:
        ConfigError: a word is neither a folder nor ``--json``, or there are not two folders.
    """
    folders = [word for word in words if word != "--json"]
    if wrong := [word for word in folders if word.startswith("-")]:
        raise ConfigError(f"{wrong[0]}: no such option; the only option of diff is --json")
    if len(folders) != 2:
        raise ConfigError(f"diff: compares two folders, and {len(folders)} are named; write diff A B (see --help)")
    return (folders[0], folders[1]), "--json" in words


def parse_words(words: Sequence[str]) -> tuple[list[Path], Path | None]:
    """The folders that the command line names, and the value of ``out=``.

    Raises:
        ConfigError: a word is neither a folder nor the option ``out``, or no folder is named.
    """
    app.warn_of_repetition([word for word in words if word.startswith("out=")])
    folders, out = list[Path](), None
    for word in words:
        key, equals, value = word.partition("=")
        if key == "out" and equals:
            if not value:
                raise ConfigError("out=: is empty; name a folder")
            out = Path(os.path.expanduser(value))
        elif word.startswith("-") or (equals and key.isidentifier() and not Path(os.path.expanduser(word)).exists()):
            hint = f"; did you mean {value}?" if key == "run" and value else did_you_mean(key.strip("-"), ["out"])
            raise ConfigError(f"{word}: no such option{hint}; the only option is out (see --help)")
        else:
            folders.append(Path(os.path.expanduser(word)))
    if not folders:
        raise ConfigError("no folder is named; name run directories or folders of sweeps")
    return folders, out


if __name__ == "__main__":
    sys.exit(main())
