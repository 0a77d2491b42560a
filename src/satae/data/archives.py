"""The files of published data sets: found, fetched, and verified before a number of them is used."""

from __future__ import annotations

import gzip
import hashlib
import sys
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from satae.data.cache import home, once, reason

TIMEOUT: Final = 30  # seconds without a byte after which a mirror is given up


class Archive(NamedTuple):
    """A file in which a data set, or a part of it, is published."""

    name: str
    parts: Mapping[str, str]  # what is in it, by name: sha256 of its bytes, decompressed
    mirrors: tuple[str, ...]  # addresses of the file, the first one first
    folder: str = ""  # in which its parts lie once they are unpacked


class Published(NamedTuple):
    """A published data set."""

    name: str
    archives: tuple[Archive, ...]
    system: Path | None = None  # where a package of the operating system puts them


def read(published: Published, folder: str | None = None) -> dict[str, bytes]:
    """Every part of a data set, decompressed and verified; what is nowhere is fetched.

    Args:
        published: the data set.
        folder: has its files, or a folder of its name with them; the only place to look, if it is given.

    Raises:
        ValueError: a file is missing, damaged or another one, or cannot be fetched; and what to do.
    """
    parts = dict[str, bytes]()
    for archive in published.archives:
        files = find(archive, places(published, folder))
        if files is None and folder is not None:
            raise ValueError(
                f"data.dir={folder}: has no {archive.name}; put it there, or leave data.dir out to have it looked for"
                " elsewhere and fetched"
            )
        parts |= verified(archive, files or [fetch(published, archive)])
    return parts


def places(published: Published, folder: str | None = None) -> list[Path]:
    """Where to look for the files of a data set, in this order."""
    if folder is not None:
        given = Path(folder).expanduser().absolute()
        return [given, given / published.name]
    return [*([published.system] if published.system else []), home() / published.name]


def find(archive: Archive, folders: list[Path]) -> list[Path] | None:
    """An archive, or all that was unpacked from it, in the first of some folders that has either."""
    for folder in folders:
        unpacked = ([place / part for part in archive.parts] for place in (folder / archive.folder, folder))
        for files in ([folder / archive.name], *unpacked):
            if all(file.is_file() for file in files):
                return files
    return None


class Damaged(ValueError):
    """A file that does not hold what was published; nothing of it is used."""

    def __init__(self, archive: Archive, file: Path, reason: str) -> None:
        super().__init__(
            f"{file}: {reason}; replace it by the one from {archive.mirrors[0]}, or delete it to have it fetched"
        )
        self.reason = reason


def verified(archive: Archive, files: list[Path]) -> dict[str, bytes]:
    """The parts of an archive.

    Args:
        archive: what was published.
        files: as :func:`find` gives them.

    Raises:
        Damaged: they hold something else.
    """
    parts = dict[str, bytes]()
    for file in files:
        try:
            parts |= _unpacked(archive, file)
        except (OSError, EOFError, KeyError, zlib.error, tarfile.TarError) as error:
            raise Damaged(archive, file, f"cannot be read ({reason(error)})") from None
    for number, (name, digest) in enumerate(archive.parts.items()):
        content = parts.get(name, b"")
        found = hashlib.sha256(content).hexdigest()
        if found != digest:
            inside = f" in {name}" if len(files) < len(archive.parts) else ""
            fault = (
                f"is not what was published: {len(content):,} bytes{inside} with sha256 {found[:8]}, not {digest[:8]}"
            )
            raise Damaged(archive, files[number % len(files)], fault)
    return parts


def _unpacked(archive: Archive, file: Path) -> dict[str, bytes]:
    if file.name != archive.name:
        return {file.name: file.read_bytes()}
    if file.name.endswith(".tar.gz"):
        with tarfile.open(file) as tar:
            names = {Path(name).name: name for name in tar.getnames()}
            members = {part: tar.extractfile(names[part]) for part in archive.parts if part in names}
            return {part: member.read() for part, member in members.items() if member}
    content = file.read_bytes()
    return {next(iter(archive.parts)): gzip.decompress(content) if file.suffix == ".gz" else content}


def fetch(published: Published, archive: Archive, folder: Path | None = None) -> Path:
    """Fetch an archive from the first mirror that gives what was published.

    Args:
        published: the data set.
        archive: one of its files.
        folder: to put it in; the user's cache by default.

    Returns:
        The file.

    Raises:
        ValueError: no mirror gives it, or it cannot be written.
    """
    return once((folder or home() / published.name) / archive.name, lambda part: _from_mirrors(archive, part))


def _from_mirrors(archive: Archive, part: Path) -> None:
    failures = dict[str, str]()
    for address in archive.mirrors:
        before = "".join(f" ({urlsplit(mirror).hostname}: {failure})" for mirror, failure in failures.items())
        line = f"fetching {archive.name} from {urlsplit(address).hostname}{before}"
        print(line, file=sys.stderr, flush=True)  # noqa: T201
        try:
            download(address, part)
            verified(archive, [part])
        except (ConnectionError, Damaged) as error:
            failures[address] = error.reason if isinstance(error, Damaged) else str(error)
        else:
            return
    tried = "; ".join(f"{address}: {failure}" for address, failure in failures.items())
    raise ValueError(
        f"{archive.name}: is not on this machine and could not be fetched ({tried}); put it into {part.parent.parent},"
        " or name its folder with data.dir"
    )


def download(address: str, file: Path) -> None:
    """Write what is at an address to a file.

    Raises:
        ConnectionError: nothing came, or not all; why.
        OSError: it cannot be written.
    """
    import pooch
    import requests

    try:
        pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=2**18, timeout=TIMEOUT)(address, file, None)
    except requests.HTTPError as error:
        raise ConnectionError(f"status {error.response.status_code}") from None
    except requests.Timeout:
        raise ConnectionError(f"no answer within {TIMEOUT} s") from None
    except requests.exceptions.ChunkedEncodingError:
        raise ConnectionError("the connection broke off") from None
    except requests.RequestException:
        raise ConnectionError("no connection") from None
