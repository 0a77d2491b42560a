"""The data sets that are there: ``satae-data list``, ``satae-data fetch mnist``, ``satae-data check``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from satae.cli import app
from satae.cli.app import OK, REFUSED, print_error
from satae.config.messages import bad_choice
from satae.config.option_types import MISSING
from satae.config.registries import DATA_SOURCES
from satae.data.local_files import cache_folder
from satae.data.published import (
    Archive,
    DamagedFileError,
    PublishedSet,
    fetch_archive,
    find_archive,
    published_sets,
    read_archive,
    search_folders,
)

PROGRAM: Final = "satae-data"
VERIFIED: Final = "verified"


class Row(NamedTuple):
    """What is known of a data set."""

    name: str
    state: str
    size: int | None  # bytes on the disk
    where: str


def main() -> int:
    """The entry point; returns the exit code."""
    return app.run(PROGRAM, _main, refusals=(ValueError,))


def _main(words: Sequence[str]) -> int:
    chosen = _parser().parse_args(words)
    code: int = chosen.run(chosen)
    return code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see {PROGRAM} --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, description="The data sets that are on this machine, for satae-train data=NAME.")
    commands = parser.add_subparsers(required=True, metavar="list|fetch|check")
    for run, text, names in (
        (_list, "show what is there, where, how large, and whether it is what was published", None),
        (_fetch, "fetch data sets, for machines that have no network later", "+"),
        (
            _check,
            "verify file by file; exit code 2 if one is damaged or missing, unless a set that is not named is nowhere",
            "*",
        ),
    ):
        command = commands.add_parser(run.__name__.strip("_"), help=text, description=text)
        command.set_defaults(run=run)
        if names:
            command.add_argument(
                "names", nargs=names, metavar="NAME", help=f"{', '.join(DATA_SOURCES.owners('dir'))}, or all"
            )
        command.add_argument("--dir", metavar="FOLDER", help="instead of the usual places; train with data.dir=FOLDER")
    return parser


def _chosen(names: list[str]) -> list[PublishedSet]:
    """The sets of some names, in the order of the table."""
    sets = published_sets()
    for name in names:
        if name not in {*sets, "all"}:
            raise ValueError(bad_choice("name", name, [*sets, "all"]))
    return [published for name, published in sets.items() if {name, "all"} & {*names}]


def _list(chosen: argparse.Namespace) -> int:
    rows = []
    for entry in DATA_SOURCES.entries():
        if "published" in entry.facts:
            rows.append(_row(entry.facts["published"], chosen.dir))
        else:
            own = DATA_SOURCES.defaults(entry.name).get("path") == MISSING
            rows.append(Row(entry.name, "your own" if own else "embedded", None, entry.facts["origin"]))
    decoded = sorted((cache_folder() / "decoded").glob("[!.]*.npy"))
    rows += [Row("folder, hf", "decoded", file.stat().st_size, str(file)) for file in decoded]
    if sys.stdout.isatty():
        _show(rows)
    else:
        for row in [Row._fields, *rows]:
            print("\t".join("" if cell is None else str(cell) for cell in row))  # noqa: T201
        sys.stdout.flush()
    return OK


def _row(published: PublishedSet, folder: str | None) -> Row:
    found = [find_archive(published, archive, folder) for archive in published.archives]
    files = [file for some in found if some for file in some]
    if not files:
        return Row(published.name, "not here", None, f"{PROGRAM} fetch {published.name}")
    states = {_state(archive, there) for archive, there in zip(published.archives, found, strict=True)}
    state = "damaged" if states - {VERIFIED, ""} else "incomplete" if "" in states else VERIFIED
    size = sum(file.stat().st_size for file in files)
    return Row(published.name, state, size, os.path.commonpath([file.parent for file in files]))


def _state(archive: Archive, files: list[Path] | None) -> str:
    """``"verified"``, what is wrong with the files, or nothing where there are none."""
    try:
        return VERIFIED if files and read_archive(archive, files) else ""
    except DamagedFileError as error:
        return str(error)


def _show(rows: list[Row]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("name", "state"):
        table.add_column(name, no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("where", overflow="fold")
    colours = {VERIFIED: "green", "embedded": "green", "damaged": "bold red", "incomplete": "bold red"}
    for row in rows:
        size = "" if row.size is None else f"{row.size / 1e6:,.1f} MB"
        table.add_row(row.name, f"[{colours.get(row.state, 'default')}]{row.state}[/]", size, escape(row.where))
    Console(highlight=False).print(table)


def _fetch(chosen: argparse.Namespace) -> int:
    code = OK
    for published in _chosen(chosen.names):
        try:
            for archive in published.archives:
                place = search_folders(published, chosen.dir)[-1]
                files = find_archive(published, archive, chosen.dir) or [fetch_archive(archive, place)]
                read_archive(archive, files)
                print(f"{published.name}: verified {files[0]}", flush=True)  # noqa: T201
        except ValueError as error:
            code = print_error(PROGRAM, str(error), REFUSED)
    return code


def _check(chosen: argparse.Namespace) -> int:
    code = OK
    for published in _chosen(chosen.names or ["all"]):
        nowhere = not any(find_archive(published, archive, chosen.dir) for archive in published.archives)
        for archive in published.archives:
            files = find_archive(published, archive, chosen.dir)
            state = _state(archive, files)
            if not files:
                print(f"{published.name}: {archive.name} is not here", flush=True)  # noqa: T201
                code = REFUSED if chosen.names or not nowhere else code
            elif state == VERIFIED:
                place = files[0] if len(files) == 1 else files[0].parent
                print(f"{published.name}: verified {place}", flush=True)  # noqa: T201
            else:
                code = print_error(PROGRAM, f"{published.name}: {state}", REFUSED)
    return code
