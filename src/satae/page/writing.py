"""Writes the folder of a report: CSV files, figures and the page; a complete one replaces an earlier report."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any, Final

from satae import __version__, signals
from satae.atomic_write import hidden_folder, name_file_in_errors
from satae.config import ConfigError
from satae.evaluation import section_display
from satae.evaluation.reported_evaluations import (
    ReportedEvaluations,
    ReportSection,
    changed_settings,
    figure_names,
    read_evaluations,
)
from satae.messages import clean_text
from satae.page import PROGRAM, figures, findings, tables
from satae.page.galleries import evaluation_galleries, run_galleries
from satae.page.sources import RunCollection, collect_runs, find_runs
from satae.plots.charts import draw_chart
from satae.plots.style import Drawing, draw_each
from satae.runs.layout import RECORD_FILE, REPORT_FOLDER, RUNS_CSV_FILE
from satae.sweeps.aggregate import group_runs, varying_keys
from satae.sweeps.csv_files import GROUPS_CSV_FILE, groups_csv, runs_csv
from satae.sweeps.results import RunResult, UnreadableRun
from satae.sweeps.series import compare
from satae.sweeps.text import shorten_value, with_short_values

PAGE_FILE: Final = "index.html"
EVALUATION_CSV_FILE: Final = "evaluation.csv"
FIGURE_FILES: Final = tuple(
    f"{name}{suffix}" for name in (*figures.FIGURE_NAMES, *figure_names()) for suffix in (".png", ".svg")
)
REPORT_FILES: Final = frozenset((PAGE_FILE, RUNS_CSV_FILE, GROUPS_CSV_FILE, EVALUATION_CSV_FILE, *FIGURE_FILES))
MAX_COMMANDS: Final = 50
FEW_RUNS: Final = 4  # the page shows the evaluation pictures of no more runs


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
    with hidden_folder(place.parent, REPORT_FOLDER) as home:
        new = home / REPORT_FOLDER
        new.mkdir()
        for name, content in _files(collection):
            with name_file_in_errors(place / name), (new / name).open("wb") as file:
                file.writelines(content)
        with signals.hold_signals():
            _replace_folder(place, new)
    return place / PAGE_FILE


def _default_place(folders: Sequence[Path]) -> Path:
    if len(folders) == 1:
        return folders[0] / REPORT_FOLDER
    return next(place for number in count(1) if not (place := Path(f"{REPORT_FOLDER}-{number}")).exists())


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
    """The names and the contents of the files of a report; the page contains all its figures and pictures."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # takes .1 s

    full_groups = group_runs(collection.runs, collection.varied)
    groups = with_short_values(full_groups)
    axes = varying_keys([run.choices for run in collection.runs], collection.varied)
    runs = [run for group in groups for run in group.runs]
    yield RUNS_CSV_FILE, [runs_csv([*runs, *collection.unreadable], collection.name)]
    yield GROUPS_CSV_FILE, [groups_csv(full_groups, axes)]
    evaluated = read_evaluations(collection.runs, groups, collection.name)
    if evaluated.runs:
        yield EVALUATION_CSV_FILE, tables.encode_evaluations(collection, full_groups, evaluated)

    comparison, is_single = compare(groups, axes), len(collection.runs) == 1
    are_few = 1 < len(collection.runs) <= FEW_RUNS
    if is_single:
        charts = [*figures.course_charts(collection.runs[0])]
    else:
        named = {collection.name(run): run for run in runs} if are_few else {}
        charts = [*figures.shared_course_charts(named)]
        if not charts or comparison.x is not None or any(len(group.runs) > 1 for group in groups):
            charts += figures.sweep_charts(comparison)
    sections = {section.name: [] if is_single else [*section.charts(axes)] for section in evaluated.sections}
    not_drawn = list[str]()
    draws = {chart.name: partial(draw_chart, chart) for chart in chain(charts, *sections.values())}
    drawn = draw_each(draws, not_drawn.append)
    for line in not_drawn:
        print(f"warning: {line}", file=sys.stderr)  # noqa: T201
    for drawing in drawn.values():
        yield f"{drawing.name}.png", [drawing.png]
        yield f"{drawing.name}.svg", [drawing.svg.encode()]

    galleries, picture_notes = run_galleries(groups, comparison)
    all_groups = [*groups, *(group for section in evaluated.sections for group in section.groups)]
    environment = Environment(
        loader=PackageLoader("satae.page"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("page.html").render(
        program=PROGRAM,
        version=__version__,
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        title=shorten_value(clean_text(", ".join(folder.resolve().name for folder in collection.folders)), 80),
        run_counts=findings.run_counts(collection, groups),
        trained_model=findings.trained_model(collection.runs[0]) if is_single else "",
        varied_options=findings.varied_options(collection.runs, axes),
        summary=[*findings.summary(comparison)],
        evaluation_summary=[section_display.section_summary(one) for one in evaluated.sections if one.groups],
        assumptions=[*findings.assumptions(collection.runs)],
        interval_note=findings.interval_note(all_groups),
        warnings=[*findings.warnings(collection, groups, axes), *section_display.warnings(evaluated), *not_drawn],
        side_by_side=tables.side_by_side_table(collection, axes) if are_few else None,
        drawings=[drawn[chart.name] for chart in charts if chart.name in drawn],
        evaluated_runs=findings.evaluated_runs(collection, evaluated),
        evaluation_notes=evaluated.notes,
        sections=[
            _section(
                section,
                collection,
                axes,
                evaluated,
                [drawn[chart.name] for chart in sections[section.name] if chart.name in drawn],
            )
            for section in evaluated.sections
        ],
        galleries=galleries,
        picture_notes=picture_notes,
        configurations=tables.configurations_table(groups, axes),
        runs=tables.runs_table(collection, groups, axes),
        failures=tables.failures_table(collection, groups),
        commands=collection.commands[:MAX_COMMANDS],
        commands_left_out=max(0, len(collection.commands) - MAX_COMMANDS),
        provenance=tables.provenance(collection),
        resumes=tables.resumes_table(collection),
    )
    yield PAGE_FILE, [page.encode("utf-8", "backslashreplace")]


def _section(
    section: ReportSection,
    collection: RunCollection,
    axes: Sequence[str],
    evaluated: ReportedEvaluations,
    drawings: Sequence[Drawing],
) -> dict[str, Any]:
    """What the template needs for the section of a part of the evaluation."""
    part = section.part
    few = collection.runs if len(collection.runs) <= FEW_RUNS else []
    found = [(run, evaluated.runs.get(run.directory, {}).get(section.name)) for run in few]
    files = {collection.name(run): (run.directory, one.pictures) for run, one in found if one and not one.is_stale}
    galleries, notes = evaluation_galleries(section.name, files, part.pictures)
    folded = [gallery for gallery in galleries if drawings and gallery.kind == part.repeated_picture]
    return dict(
        name=section.name,
        title=section.title,
        what=part.description,
        settings=", ".join(
            f"{key}={shorten_value(value)}" for key, value in changed_settings(section.settings).items()
        ),
        notes=[*section.notes, *notes],
        tables=[*section_display.section_tables(section, axes)],
        drawings=drawings,
        galleries=[gallery for gallery in galleries if gallery not in folded],
        folded=folded,
    )


def _replace_folder(place: Path, new: Path) -> None:
    """Put the folder ``new`` at ``place``; the earlier folder stays if that fails."""
    if not place.exists():
        new.rename(place)
        return
    old = new.with_name("old")
    old.mkdir()
    place.replace(old)  # an empty folder can be replaced
    try:
        new.rename(place)
    except OSError:
        old.replace(place)
        raise
