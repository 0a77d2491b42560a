"""The page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from satae import __version__
from satae.page import PROGRAM, findings, origins, pictures, tables
from satae.page.evaluations.caveats import caveats
from satae.page.evaluations.gathering import Evaluated, chosen
from satae.page.evaluations.outcomes import Part
from satae.page.evaluations.parts import TOLD
from satae.page.evaluations.summary import sentence
from satae.page.evaluations.table import table
from satae.page.pictures import Gallery
from satae.page.sources import Source
from satae.plots.style import Drawing
from satae.printable import clean_text
from satae.sweeps.aggregate import SeedGroup
from satae.sweeps.formatting import TextTable, shorten_value
from satae.sweeps.series import Comparison

MOST_COMMANDS: Final = 50
FEW: Final = 4  # runs, of whose evaluations the pictures are shown
TEMPLATE: Final = "page.html"


class Content(NamedTuple):
    """What is told."""

    source: Source
    groups: Sequence[SeedGroup]
    axes: Sequence[str]
    plan: Comparison
    drawings: Sequence[Drawing]
    evaluated: Evaluated
    measured: Mapping[str, Sequence[Drawing]]  # by part of the evaluation


class Chapter(NamedTuple):
    """A part of the evaluations."""

    name: str
    title: str
    what: str
    settings: str  # that were chosen
    notes: Sequence[str]
    table: TextTable | None
    drawings: Sequence[tuple[Drawing, Markup]]
    galleries: Sequence[Gallery]
    folded: Sequence[Gallery]  # shown only when asked: those that the drawings repeat


def page(content: Content) -> bytes:
    """The page, in itself complete: no part of it is anywhere else."""
    source, groups, axes, plan, drawings, evaluated, _ = content
    shown, notes = pictures.galleries(groups, plan)
    title = shorten_value(clean_text(", ".join(folder.resolve().name for folder in source.folders)), 80)
    environment = Environment(
        loader=PackageLoader("satae.page"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    text = environment.get_template(TEMPLATE).render(
        program=PROGRAM,
        version=__version__,
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        title=title,
        counted=findings.run_counts(source, groups),
        varied=findings.varied(source.runs, axes),
        found=[*findings.found(plan)],
        scatter=findings.scatter([*groups, *(group for part in evaluated.parts for group in part.groups)]),
        measured=[sentence(part) for part in evaluated.parts if part.groups],
        warnings=[*findings.warnings(source, groups), *caveats(evaluated)],
        drawings=_inline(drawings),
        evaluated=findings.evaluated(source, evaluated),
        evaluation_notes=evaluated.notes,
        chapters=[_chapter(part, content) for part in evaluated.parts],
        galleries=shown,
        notes=notes,
        tables=[tables.configurations(groups, axes), tables.runs(source, groups, axes)],
        failures=tables.failures(source, groups),
        commands=source.commands[:MOST_COMMANDS],
        commands_left_out=max(0, len(source.commands) - MOST_COMMANDS),
        origins=origins.origins(source),
    )
    return text.encode("utf-8", "backslashreplace")


def _inline(drawings: Sequence[Drawing]) -> list[tuple[Drawing, Markup]]:
    return [(drawing, Markup(drawing.inline)) for drawing in drawings]


def _chapter(part: Part, content: Content) -> Chapter:
    source, runs, telling = content.source, content.evaluated.runs, TOLD[part.name]
    few = source.runs if len(source.runs) <= FEW else []
    found = [(run, runs.get(run.directory, {}).get(part.name)) for run in few]
    named = {source.name(run): (run.directory, of.pictures) for run, of in found if of and not of.is_stale}
    galleries, more = pictures.of_evaluation(part.name, named, telling.pictures)
    drawings = content.measured.get(part.name, ())
    folded = [gallery for gallery in galleries if drawings and gallery.kind == telling.repeated]
    return Chapter(
        part.name,
        part.name.capitalize(),
        telling.what,
        ", ".join(f"{key}={shorten_value(value)}" for key, value in chosen(part.settings).items()),
        [*part.notes, *more],
        table(part, content.axes) if part.groups else None,
        _inline(drawings),
        [gallery for gallery in galleries if gallery not in folded],
        folded,
    )
