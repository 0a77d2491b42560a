"""Show, fetch and verify data sets: ``satae-data list``, ``satae-data fetch mnist``, ``satae-data check``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from satae import signals
from satae.cli import app
from satae.cli.app import LineErrorParser, output_exit_code, print_error
from satae.data.local_files import known_cache_folder
from satae.data.published import (
    PUBLISHED_SETS,
    Archive,
    DamagedFileError,
    PublishedSet,
    download_folder,
    fetch_archive,
    find_archive,
    read_archive,
)
from satae.errors import OK, REFUSED
from satae.messages import did_you_mean, one_line

PROGRAM: Final = "satae-data"
VERIFIED: Final = "verified"
STATE_COLORS: Final = {VERIFIED: "green", "embedded": "green", "damaged": "bold red", "incomplete": "bold red"}


class ListedSet(NamedTuple):
    """One line of ``satae-data list``; the field names are the column headers."""

    name: str
    state: str
    size: int | None  # bytes on the disk
    where: str


def main() -> int:
    """Run ``satae-data``; returns the exit code."""
    signals.end_without_traceback()  # until the program handles signals
    return app.run(PROGRAM, run_command, refusals=(ValueError,))


def run_command(words: Sequence[str]) -> int:
    """List, fetch or check, as the words of a command line ask; returns the exit code."""
    from satae.config.registry import DATA_SOURCES

    parser = LineErrorParser(prog=PROGRAM, description="The data sets for satae-train data=NAME, on this machine.")
    commands = parser.add_subparsers(required=True, metavar="list|fetch|check", dest="command")
    for name, text, names in (
        ("list", "show the data sets: where they are, how large, and whether they are what was published", None),
        ("fetch", "fetch data sets, for machines that have no network later", "+"),
        (
            "check",
            "verify every file; exit code 2 if one is damaged or missing. A data set that has no file here is"
            " skipped, unless it is named",
            "*",
        ),
    ):
        command = commands.add_parser(name, help=text, description=text)
        if names:
            known = ", ".join(DATA_SOURCES.owners("dir"))
            command.add_argument("names", nargs=names, metavar="NAME", help=f"{known}, or all")
        command.add_argument("--dir", metavar="FOLDER", help="instead of the usual places; train with data.dir=FOLDER")
    if words and not words[0].startswith("-") and words[0] not in commands.choices:
        choices = f"choose one of {', '.join(commands.choices)}{did_you_mean(words[0], commands.choices)}"
        parser.error(f"{one_line(words[0])}: {choices}")
    given = parser.parse_args(words)
    if given.command == "list":
        return list_sources(given.dir) or output_exit_code()
    return {"fetch": fetch, "check": check}[given.command](given.names, given.dir) or output_exit_code()


def list_sources(folder: str | None) -> int:
    """Print every data source, and the files with decoded images in the cache."""
    from satae.cli.flags import description
    from satae.config.option_types import MISSING
    from satae.config.registry import DATA_SOURCES

    rows = []
    for name in DATA_SOURCES.names():
        if name in PUBLISHED_SETS:
            rows.append(_describe_published(PUBLISHED_SETS[name], folder))
        else:
            needs_path = DATA_SOURCES.defaults(name).get("path") == MISSING
            about = description(DATA_SOURCES.text(name))
            rows.append(ListedSet(name, "your own" if needs_path else "embedded", None, about))
    cache = known_cache_folder()
    for file in sorted((cache / "decoded").glob("[!.]*.npy")) if cache else []:
        rows.append(ListedSet("folder, hf", "decoded", file.stat().st_size, str(file)))
    if sys.stdout.isatty():
        _print_table(rows)
    else:
        for row in [ListedSet._fields, *rows]:
            print("\t".join("" if cell is None else str(cell) for cell in row))  # noqa: T201
    return OK


def fetch(names: list[str], folder: str | None) -> int:
    """Fetch the files that are missing, and verify all."""
    code = OK
    for published in _select(names):
        try:
            for archive in published.archives:
                files = find_archive(published, archive, folder) or [
                    fetch_archive(archive, download_folder(published, folder))
                ]
                read_archive(archive, files)
                print(f"{published.name}: verified {files[0]}", flush=True)  # noqa: T201
        except ValueError as error:
            code = print_error(PROGRAM, str(error), REFUSED)
    return code


def check(names: list[str], folder: str | None) -> int:
    """Verify the files; a data set without any file is an error only if it is named."""
    code = OK
    for published in _select(names or ["all"]):
        found = [(archive, find_archive(published, archive, folder)) for archive in published.archives]
        for archive, files in found:
            state = _verify(archive, files)
            if not files:
                print(f"{published.name}: {archive.name} is not here", flush=True)  # noqa: T201
                code = REFUSED if names or any(some for _, some in found) else code
            elif state == VERIFIED:
                place = files[0] if len(files) == 1 else files[0].parent
                print(f"{published.name}: verified {place}", flush=True)  # noqa: T201
            else:
                code = print_error(PROGRAM, f"{published.name}: {state}", REFUSED)
    return code


def _select(names: list[str]) -> list[PublishedSet]:
    from satae.config.registry import DATA_SOURCES

    known = [*DATA_SOURCES.owners("dir"), "all"]
    for name in names:
        if name not in known:
            fault = "has no files to fetch or check" if name in DATA_SOURCES.names() else "no such data set"
            raise ValueError(f"{name}: {fault}; choose one of {', '.join(known)}{did_you_mean(name, known)}")
    return [published for name, published in PUBLISHED_SETS.items() if {name, "all"} & {*names}]


def _describe_published(published: PublishedSet, folder: str | None) -> ListedSet:
    found = [(archive, find_archive(published, archive, folder)) for archive in published.archives]
    files = [file for _, some in found if some for file in some]
    if not files:
        return ListedSet(published.name, "not here", None, f"{PROGRAM} fetch {published.name}")
    states = {_verify(archive, some) for archive, some in found}
    state = "damaged" if states - {VERIFIED, ""} else "incomplete" if "" in states else VERIFIED
    size = sum(file.stat().st_size for file in files)
    return ListedSet(published.name, state, size, os.path.commonpath([file.parent for file in files]))


def _verify(archive: Archive, files: list[Path] | None) -> str:
    """``"verified"``, or the fault of the files, or ``""`` if they are missing."""
    try:
        return VERIFIED if files and read_archive(archive, files) else ""
    except DamagedFileError as error:
        return str(error)


def _print_table(rows: list[ListedSet]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("where", overflow="fold")
    for row in rows:
        size = "" if row.size is None else f"{row.size / 1e6:,.1f} MB"
        color = STATE_COLORS.get(row.state, "default")
        table.add_row(row.name, f"[{color}]{row.state}[/]", size, escape(row.where))
    Console(highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main())
