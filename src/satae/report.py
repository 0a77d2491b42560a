"""What came of runs, on a page: ``satae-report outputs/...``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from satae.cli import app
from satae.config import ConfigError
from satae.config.messages import did_you_mean
from satae.page import PROGRAM

OUT: Final = "out"
HELP: Final = f"""\
{PROGRAM} tells what came of runs: a page that opens from the disk, its figures as PNG and SVG, its numbers as CSV.

  {PROGRAM} outputs/2026-01-31/12-00-00-000000
  {PROGRAM} outputs/first outputs/second out=both

  FOLDER ...   run directories, or folders of sweeps, whose runs are taken together
  out          the folder to write to; by default report/ in the folder that is named, or report-<n>/ here where there
               are several. A report that is there is replaced

The page has a summary in words; reconstruction and saturated fraction against alpha, or against the first number
that varies, for each configuration of all else, with 95 % intervals over the seeds; the one against the other;
reconstructions and filters side by side; tables of configurations, runs and failures; commands and versions. That of a
single run has its losses and its saturated fraction over the epochs instead. What satae-eval found of the runs has a
section and figures of its own, every accuracy under attack with its verdict.

  index.html      the page
  runs.csv        every run: status, choices, final measures
  groups.csv      every configuration and measure: n, mean, standard deviation, 95 % interval
  evaluation.csv  every figure that satae-eval has written for the runs"""


class Choices(NamedTuple):
    """What was typed."""

    folders: list[Path]
    out: Path | None


def main() -> int:
    """The entry point; returns the exit code."""
    return app.run(PROGRAM, report, help_text=HELP)


def report(typed: Sequence[str]) -> str:
    """Write the report that is asked for; its page, and what sweeps that were cut off lack."""
    from satae.page import sources
    from satae.page.writing import write

    choices = parse(typed)
    told = [str(write(*choices))]
    for folder in dict.fromkeys(choices.folders):
        if waiting := len(sources.not_begun(folder)):
            how_many = sources.waiting_text(waiting, waiting + len(sources.directories(folder)))
            told.append(f"{folder}: {how_many}; {sources.going_on(folder)}")
    return "\n".join(told)


def parse(typed: Sequence[str]) -> Choices:
    """What was typed, checked.

    Raises:
        ConfigError: it cannot be done.
    """
    folders, out = list[Path](), None
    for word in typed:
        key, equals, value = word.partition("=")
        if key == OUT and equals:
            if not value:
                raise ConfigError("out=: is empty; name a folder")
            out = Path(value).expanduser()
        elif word.startswith("-") or (equals and key.isidentifier() and not Path(word).expanduser().exists()):
            raise ConfigError(
                f"{word}: no such option{did_you_mean(key.strip('-'), [OUT])}; there is {OUT} (see --help)"
            )
        else:
            folders.append(Path(word).expanduser())
    if not folders:
        raise ConfigError("no folder is named; name run directories or folders of sweeps")
    return Choices(folders, out)
