"""The data sets that are there: ``satae-data list``, ``satae-data fetch mnist``, ``satae-data check``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from satae.config.messages import bad_choice
from satae.data import archives
from satae.data.archives import Archive, Damaged, Published
from satae.data.cache import home
from satae.data.cifar10 import CIFAR10
from satae.data.mnist import FASHION_MNIST, MNIST
from satae.data.svhn import SVHN

PROGRAM: Final = "satae-data"
PUBLISHED: Final = {published.name: published for published in (MNIST, FASHION_MNIST, CIFAR10, SVHN)}
EMBEDDED: Final = {
    "digits": "in scikit-learn",
    "patches": "two photographs in scikit-learn",
    "manifold": "computed",
}
REFUSED, INTERRUPTED = 2, 130


class Row(NamedTuple):
    """What is known of a data set."""

    name: str
    state: str
    size: int | None  # bytes on the disk
    where: str


def main() -> int:
    """The entry point; returns the exit code."""
    try:
        chosen = _parser().parse_args()
        names = list(PUBLISHED) if "all" in chosen.names else list(dict.fromkeys(chosen.names))
        if unknown := [name for name in names if name not in PUBLISHED]:
            raise ValueError(bad_choice("name", unknown[0], [*PUBLISHED, "all"]))
        return {"list": _list, "fetch": _fetch, "check": _check}[chosen.command](names, chosen.dir)
    except ValueError as error:
        _complain(str(error))
        return REFUSED
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # what reads the output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see {PROGRAM} --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, description="The data sets that are on this machine, for satae-train data=NAME.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="list|fetch|check")
    for name, text in {
        "list": "show what is there, where, how large, and whether it is what was published",
        "fetch": "fetch data sets, for machines that have no network later",
        "check": "verify data sets file by file; exit code 2 if one is missing or damaged",
    }.items():
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(names=[])
        if name != "list":
            several = "+" if name == "fetch" else "*"
            command.add_argument("names", nargs=several, metavar="NAME", help=f"{', '.join(PUBLISHED)}, or all")
        command.add_argument("--dir", metavar="FOLDER", help="instead of the usual places; train with data.dir=FOLDER")
    return parser


def _list(_: Sequence[str], folder: str | None) -> int:
    rows = [Row(name, "embedded", None, where) for name, where in EMBEDDED.items()]
    rows += [_row(published, folder) for published in PUBLISHED.values()]
    rows += [Row("folder, hf", "decoded", file.stat().st_size, str(file)) for file in _decoded()]
    if sys.stdout.isatty():
        _show(rows)
    else:
        for row in [Row._fields, *rows]:
            _say("\t".join("" if cell is None else str(cell) for cell in row))
    return 0


def _row(published: Published, folder: str | None) -> Row:
    found = [archives.find(archive, archives.places(published, folder)) for archive in published.archives]
    files = [file for some in found if some for file in some]
    size = sum(file.stat().st_size for file in files)
    if not files:
        return Row(published.name, "not here", None, f"{PROGRAM} fetch {published.name}")
    state = "verified" if all(found) else "incomplete"
    try:
        for archive, there in zip(published.archives, found, strict=True):
            if there:
                archives.verified(archive, there)
    except Damaged:
        state = "damaged"
    return Row(published.name, state, size, os.path.commonpath([file.parent for file in files]))


def _decoded() -> list[Path]:
    return sorted((home() / "decoded").glob("[!.]*.npy"))


def _show(rows: list[Row]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("name", "state"):
        table.add_column(name, no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("where", overflow="fold")
    colours = {"verified": "green", "embedded": "green", "damaged": "bold red", "incomplete": "bold red"}
    for row in rows:
        size = "" if row.size is None else f"{row.size / 1e6:,.1f} MB"
        table.add_row(row.name, f"[{colours.get(row.state, 'default')}]{row.state}[/]", size, escape(row.where))
    Console(highlight=False).print(table)


def _fetch(names: Sequence[str], folder: str | None) -> int:
    for published in (PUBLISHED[name] for name in names):
        into = Path(folder).expanduser().absolute() / published.name if folder else home() / published.name
        for archive in published.archives:
            files = archives.find(archive, archives.places(published, folder))
            files = files or [archives.fetch(published, archive, into)]
            archives.verified(archive, files)
            _say(f"{published.name}: verified {files[0]}")
    return 0


def _check(names: Sequence[str], folder: str | None) -> int:
    faults = 0
    for published in PUBLISHED.values():
        if names and published.name not in names:
            continue
        for archive in published.archives:
            faults += _check_one(published, archive, folder, named=bool(names))
    return REFUSED if faults else 0


def _check_one(published: Published, archive: Archive, folder: str | None, *, named: bool) -> int:
    """1 if an archive is not what it should be."""
    files = archives.find(archive, archives.places(published, folder))
    if not files:
        _say(f"{published.name}: {archive.name} is not here")
        return int(named)
    try:
        archives.verified(archive, files)
    except Damaged as error:
        _complain(f"{published.name}: {error}")
        return 1
    _say(f"{published.name}: verified {files[0] if len(files) == 1 else files[0].parent}")
    return 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _complain(line: str) -> None:
    print(f"{PROGRAM}: {line}", file=sys.stderr)  # noqa: T201
