"""From run directories to a folder with a report."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

from satae import signals
from satae.atomic_write import name_file_in_errors
from satae.config import ConfigError
from satae.page import csv_files, figures
from satae.page.evaluations import gathering, parts
from satae.page.sources import Source, directories, gather
from satae.plots.charts import draw_chart
from satae.runs.layout import RECORD_FILE
from satae.sweeps.aggregate import group_runs, varying_keys
from satae.sweeps.results import RunResult, UnreadableRun
from satae.sweeps.series import compare
from satae.sweeps.table import RUNS_CSV_FILE

FOLDER: Final = "report"
PAGE: Final = "index.html"
GROUPS: Final = "groups.csv"
EVALUATED: Final = "evaluation.csv"
DRAWN: Final = (*figures.FIGURE_NAMES, *parts.FIGURES)
FIGURES: Final = tuple(f"{name}{suffix}" for name in DRAWN for suffix in (".png", ".svg"))


def write(folders: Sequence[Path], out: Path | None = None, known: Sequence[RunResult | UnreadableRun] = ()) -> Path:
    """Write a report; one that is there is replaced as soon as the new one is whole.

    Args:
        folders: run directories, and folders of sweeps.
        out: the folder of the report; by default ``report`` in the one folder that is named, or ``report-<n>`` here.
        known: runs that have been read.

    Returns:
        The page.

    Raises:
        ConfigError: a folder holds no run, or the report's own holds something else.
        OSError: something cannot be written.
    """
    for folder in folders:
        directories(folder)
    place = out or default(folders)
    check(place)
    source = gather(folders, known)
    with name_file_in_errors(place):
        new = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{FOLDER}-"))
    try:
        for name, content in contents(source):
            with name_file_in_errors(place / name), (new / name).open("wb") as file:
                file.writelines(content)
        new.chmod(0o777 & ~_mask())
        with signals.hold_signals():
            _put(new, place)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return place / PAGE


def default(folders: Sequence[Path]) -> Path:
    """Where a report lies that nobody gave a place."""
    if len(folders) == 1:
        return folders[0] / FOLDER
    number = 1
    while (place := Path(f"{FOLDER}-{number}")).exists():
        number += 1
    return place


def check(place: Path) -> None:
    """See whether a report can be put somewhere.

    Raises:
        ConfigError: it cannot.
    """
    if not place.parent.is_dir():
        raise ConfigError(f"out={place}: there is no folder {place.parent}")
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise ConfigError(f"out={place}: is no folder; name another one")
    names = {entry.name for entry in place.iterdir()} if place.is_dir() else set()
    others = sorted(
        names if (place / RECORD_FILE).exists() else names - {PAGE, RUNS_CSV_FILE, GROUPS, EVALUATED, *FIGURES}
    )
    if others or (names and PAGE not in names):
        what = others[0] if others else min(names)
        raise ConfigError(f"out={place}: holds {what}, which is no part of a report; move that, or name another folder")


def contents(source: Source) -> Iterator[tuple[str, Iterable[bytes]]]:
    """What a report consists of, one file after the other."""
    from satae.page.page import Content, page

    groups, varied = (
        group_runs(source.runs, source.varied),
        varying_keys([run.choices for run in source.runs], source.varied),
    )
    yield RUNS_CSV_FILE, [csv_files.runs(source, groups)]
    yield GROUPS, [csv_files.configurations(groups, varied)]
    known = gathering.gather(source, groups)
    if known.runs:
        yield EVALUATED, csv_files.evaluated(source, groups, known)
    comparison, is_single = compare(groups, varied), len(source.runs) == 1
    charts = figures.course_charts(source.runs[0]) if is_single else figures.sweep_charts(comparison)
    drawings = [draw_chart(chart) for chart in charts]
    evaluated = {
        part.name: [draw_chart(chart) for chart in parts.charts(part, compare(part.groups, varied))]
        for part in ([] if is_single else known.parts)
    }
    for drawing in chain(drawings, *evaluated.values()):
        yield f"{drawing.name}.png", [drawing.png]
        yield f"{drawing.name}.svg", [drawing.svg.encode()]
    yield PAGE, [page(Content(source, groups, varied, comparison, drawings, known, evaluated))]


def _put(new: Path, place: Path) -> None:
    """Put a folder in the place of another one."""
    if not place.exists():
        new.rename(place)
        return
    old = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{FOLDER}-"))
    place.replace(old)  # an empty folder gives way
    try:
        new.rename(place)
    except OSError:
        old.replace(place)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
