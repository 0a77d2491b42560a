"""The page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from satae import __version__
from satae.report import findings, origins, pictures, tables, words
from satae.report.command import PROGRAM
from satae.report.drawing import Drawing
from satae.report.series import Plan
from satae.report.sources import Source, cleaned
from satae.sweep.groups import Group

MOST_COMMANDS: Final = 50
TEMPLATE: Final = "page.html"


class Content(NamedTuple):
    """What is told."""

    source: Source
    groups: Sequence[Group]
    axes: Sequence[str]
    plan: Plan
    drawings: Sequence[Drawing]


def page(content: Content) -> bytes:
    """The page, in itself complete: no part of it is anywhere else."""
    source, groups, axes, plan, drawings = content
    shown, notes = pictures.galleries(groups, plan)
    title = words.short(cleaned(", ".join(folder.resolve().name for folder in source.folders)), 80)
    environment = Environment(
        loader=PackageLoader("satae.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    text = environment.get_template(TEMPLATE).render(
        program=PROGRAM,
        version=__version__,
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        title=title,
        counted=findings.run_counts(source, groups),
        varied=findings.varied(source.runs, axes),
        found=[*findings.found(plan)],
        warnings=[*findings.warnings(source, groups)],
        drawings=[(drawing, Markup(drawing.inline)) for drawing in drawings],
        galleries=shown,
        notes=notes,
        tables=[tables.configurations(groups, axes), tables.runs(source, groups, axes)],
        failures=tables.failures(source, groups),
        commands=source.commands[:MOST_COMMANDS],
        commands_left_out=max(0, len(source.commands) - MOST_COMMANDS),
        origins=origins.origins(source),
    )
    return text.encode("utf-8", "backslashreplace")
