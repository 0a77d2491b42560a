"""Writes the folder of a report, and replaces an earlier report only when the new one is complete."""

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
from satae.evaluation.report_section import figure_names, read_evaluations
from satae.page import figures, tables
from satae.page.sources import RunCollection, collect_runs, find_runs
from satae.plots.charts import draw_chart
from satae.runs.layout import RECORD_FILE
from satae.sweeps.aggregate import group_runs, varying_keys
from satae.sweeps.results import RunResult, UnreadableRun
from satae.sweeps.series import compare
from satae.sweeps.table import RUNS_CSV_FILE

REPORT_FOLDER: Final = "report"
PAGE_FILE: Final = "index.html"
GROUPS_CSV_FILE: Final = "groups.csv"
EVALUATION_CSV_FILE: Final = "evaluation.csv"
FIGURE_FILES: Final = tuple(
    f"{name}{suffix}" for name in (*figures.FIGURE_NAMES, *figure_names()) for suffix in (".png", ".svg")
)
REPORT_FILES: Final = frozenset((PAGE_FILE, RUNS_CSV_FILE, GROUPS_CSV_FILE, EVALUATION_CSV_FILE, *FIGURE_FILES))


def write_report(
    folders: Sequence[Path], out: Path | None = None, known: Sequence[RunResult | UnreadableRun] = ()
) -> Path:
    """Write a report, and return the path of its page.

    Args:
        folders: run directories, and folders of sweeps.
        out: the folder of the report; the default is ``report`` in a single named folder, or else ``report-<n>``
            in the current folder.
        known: runs that are already read.

    Raises:
        ConfigError: a folder holds no run, or ``out`` cannot become the folder of a report.
        OSError: a file cannot be written.
    """
    for folder in folders:
        find_runs(folder)
    place = out or _default_place(folders)
    _check_place(place)
    collection = collect_runs(folders, known)
    with name_file_in_errors(place):
        new = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{REPORT_FOLDER}-"))
    try:
        for name, content in _files(collection):
            with name_file_in_errors(place / name), (new / name).open("wb") as file:
                file.writelines(content)
        new.chmod(0o777 & ~_umask())
        with signals.hold_signals():
            _replace_folder(place, new)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return place / PAGE_FILE


def _default_place(folders: Sequence[Path]) -> Path:
    if len(folders) == 1:
        return folders[0] / REPORT_FOLDER
    number = 1
    while (place := Path(f"{REPORT_FOLDER}-{number}")).exists():
        number += 1
    return place


def _check_place(place: Path) -> None:
    """Refuse a folder that cannot be created, or that holds anything but a report."""
    if not place.parent.is_dir():
        raise ConfigError(f"out={place}: there is no folder {place.parent}")
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise ConfigError(f"out={place}: is not a folder; name another one")
    names = {entry.name for entry in place.iterdir()} if place.is_dir() else set()
    others = names if (place / RECORD_FILE).exists() else names - REPORT_FILES
    if others or (names and PAGE_FILE not in names):
        what = min(others or names)
        raise ConfigError(f"out={place}: holds {what}, which is not part of a report; move it, or name another folder")


def _files(collection: RunCollection) -> Iterator[tuple[str, Iterable[bytes]]]:
    """The names and the contents of the files of a report."""
    from satae.page.rendering import render_page  # jinja2 takes .1 s to import

    groups = group_runs(collection.runs, collection.varied)
    axes = varying_keys([run.choices for run in collection.runs], collection.varied)
    yield RUNS_CSV_FILE, [tables.encode_runs(collection, groups)]
    yield GROUPS_CSV_FILE, [tables.encode_groups(groups, axes)]
    evaluated = read_evaluations(collection.runs, groups, collection.name)
    if evaluated.runs:
        yield EVALUATION_CSV_FILE, tables.encode_evaluations(collection, groups, evaluated)
    comparison, is_single = compare(groups, axes), len(collection.runs) == 1
    charts = figures.course_charts(collection.runs[0]) if is_single else figures.sweep_charts(comparison)
    drawings = [draw_chart(chart) for chart in charts]
    evaluation_drawings = {
        section.name: [draw_chart(chart) for chart in section.charts(axes)]
        for section in ([] if is_single else evaluated.sections)
    }
    for drawing in chain(drawings, *evaluation_drawings.values()):
        yield f"{drawing.name}.png", [drawing.png]
        yield f"{drawing.name}.svg", [drawing.svg.encode()]
    yield PAGE_FILE, [render_page(collection, groups, axes, comparison, drawings, evaluated, evaluation_drawings)]


def _replace_folder(place: Path, new: Path) -> None:
    """Put the folder ``new`` at ``place``; the earlier folder stays if that fails."""
    if not place.exists():
        new.rename(place)
        return
    old = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{REPORT_FOLDER}-"))
    place.replace(old)  # an empty folder can be replaced
    try:
        new.rename(place)
    except OSError:
        old.replace(place)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
