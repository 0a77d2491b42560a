"""Renders the page from its template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from satae import __version__
from satae.evaluation import report_text
from satae.evaluation.report_section import ReportedEvaluations, ReportSection, changed_settings
from satae.page import PROGRAM, findings, tables
from satae.page.galleries import Gallery, evaluation_galleries, run_galleries
from satae.page.sources import RunCollection
from satae.plots.style import Drawing
from satae.printable import clean_text
from satae.sweeps.aggregate import SeedGroup
from satae.sweeps.series import Comparison
from satae.sweeps.table import TextTable, shorten_value

MOST_COMMANDS: Final = 50
FEW_RUNS: Final = 4  # the page shows the evaluation pictures of no more runs


class EvaluationSection(NamedTuple):
    """The section of a part of the evaluation."""

    name: str
    title: str
    what: str
    settings: str  # that differ from the defaults
    notes: Sequence[str]
    table: TextTable | None
    drawings: Sequence[tuple[Drawing, Markup]]
    galleries: Sequence[Gallery]
    folded: Sequence[Gallery]  # shown on demand, because the drawings repeat them


def render_page(
    collection: RunCollection,
    groups: Sequence[SeedGroup],
    axes: Sequence[str],
    comparison: Comparison,
    drawings: Sequence[Drawing],
    evaluated: ReportedEvaluations,
    evaluation_drawings: Mapping[str, Sequence[Drawing]],
) -> bytes:
    """Render the page; it contains all its figures and pictures.

    Args:
        collection: the runs.
        groups: their configurations.
        axes: the options in which they differ.
        comparison: what the figures show.
        drawings: the figures.
        evaluated: the evaluations.
        evaluation_drawings: their figures, by the name of the part.
    """
    galleries, picture_notes = run_galleries(groups, comparison)
    all_groups = [*groups, *(group for section in evaluated.sections for group in section.groups)]
    environment = Environment(
        loader=PackageLoader("satae.page"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    text = environment.get_template("page.html").render(
        program=PROGRAM,
        version=__version__,
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        title=shorten_value(clean_text(", ".join(folder.resolve().name for folder in collection.folders)), 80),
        run_counts=findings.run_counts(collection, groups),
        varied_options=findings.varied_options(collection.runs, axes),
        summary=[*findings.summary(comparison)],
        evaluation_summary=[report_text.section_sentence(section) for section in evaluated.sections if section.groups],
        interval_note=findings.interval_note(all_groups),
        warnings=[*findings.warnings(collection, groups), *report_text.warnings(evaluated)],
        drawings=_inline(drawings),
        evaluated_runs=findings.evaluated_runs(collection, evaluated),
        evaluation_notes=evaluated.notes,
        sections=[
            _section(section, collection, axes, evaluated, evaluation_drawings.get(section.name, ()))
            for section in evaluated.sections
        ],
        galleries=galleries,
        picture_notes=picture_notes,
        configurations=tables.configurations_table(groups, axes),
        runs=tables.runs_table(collection, groups, axes),
        failures=tables.failures_table(collection, groups),
        commands=collection.commands[:MOST_COMMANDS],
        commands_left_out=max(0, len(collection.commands) - MOST_COMMANDS),
        provenance=tables.provenance(collection),
    )
    return text.encode("utf-8", "backslashreplace")


def _inline(drawings: Sequence[Drawing]) -> list[tuple[Drawing, Markup]]:
    return [(drawing, Markup(drawing.inline)) for drawing in drawings]


def _section(
    section: ReportSection,
    collection: RunCollection,
    axes: Sequence[str],
    evaluated: ReportedEvaluations,
    drawings: Sequence[Drawing],
) -> EvaluationSection:
    part = section.part
    few = collection.runs if len(collection.runs) <= FEW_RUNS else []
    found = [(run, evaluated.runs.get(run.directory, {}).get(section.name)) for run in few]
    files = {collection.name(run): (run.directory, one.pictures) for run, one in found if one and not one.is_stale}
    galleries, notes = evaluation_galleries(section.name, files, part.pictures)
    folded = [gallery for gallery in galleries if drawings and gallery.kind == part.repeated_picture]
    return EvaluationSection(
        name=section.name,
        title=section.title,
        what=part.description,
        settings=", ".join(
            f"{key}={shorten_value(value)}" for key, value in changed_settings(section.settings).items()
        ),
        notes=[*section.notes, *notes],
        table=report_text.section_table(section, axes) if section.groups else None,
        drawings=_inline(drawings),
        galleries=[gallery for gallery in galleries if gallery not in folded],
        folded=folded,
    )
