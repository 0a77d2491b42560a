"""The files of published data sets: found, fetched, and verified before a number of them is used."""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from satae.data import cache
from satae.data.errors import reason

MOST: Final = 2**28  # bytes that are read of a part, or of what a mirror sends: more than any has
TIMEOUT: Final = 30  # seconds without a byte after which a mirror is given up


class Archive(NamedTuple):
    """A file in which a data set, or a part of it, is published."""

    name: str
    parts: Mapping[str, str]  # what is in it, by name: sha256 of its bytes, decompressed
    mirrors: tuple[str, ...]  # addresses of the file, the first one first
    folder: str = ""  # in which its parts lie once they are unpacked


class PublishedSet(NamedTuple):
    """A published data set."""

    name: str
    archives: tuple[Archive, ...]
    system: Path | None = None  # where a package of the operating system puts them


def read(published: PublishedSet, folder: str | None = None) -> dict[str, bytes]:
    """Every part of a data set, decompressed and verified; what is nowhere is fetched.

    Args:
        published: the data set.
        folder: has its files, or a folder of its name with them; the only place to look, if it is given.

    Raises:
        ValueError: a file is missing, damaged or another one, or cannot be fetched; and what to do.
    """
    parts = dict[str, bytes]()
    for archive in published.archives:
        files = find(published, archive, folder)
        if files is None and folder is not None:
            raise ValueError(
                f"data.dir={folder}: has no {archive.name}; put it there, or leave data.dir out to have it looked for"
                " elsewhere and fetched"
            )
        parts |= verified(archive, files or [fetch(archive, places(published)[-1])])
    return parts


def places(published: PublishedSet, folder: str | None = None) -> list[Path]:
    """Where to look for the files of a data set, in this order; what is fetched goes to the last one."""
    if folder is not None:
        given = cache.located(folder)
        return [given, given / published.name]
    return [*([published.system] if published.system else []), cache.folder() / published.name]


def find(published: PublishedSet, archive: Archive, folder: str | None = None) -> list[Path] | None:
    """An archive, or all that was unpacked from it, in the first place that has either."""
    for place in places(published, folder):
        unpacked = ([below / part for part in archive.parts] for below in (place / archive.folder, place))
        for files in ([place / archive.name], *unpacked):
            if all(file.is_file() for file in files):
                return files
    return None


def complete(published: PublishedSet, folder: str | None = None) -> bool:
    """Whether all the files of a data set are there, whatever is in them."""
    return all(find(published, archive, folder) for archive in published.archives)


class Damaged(ValueError):
    """A file that does not hold what was published; nothing of it is used."""

    def __init__(self, archive: Archive, file: Path, fault: str) -> None:
        kept = ", or delete it to have it fetched" if file.is_relative_to(cache.folder()) else ""
        super().__init__(f"{file}: {fault}; replace it by the one from {archive.mirrors[0]}{kept}")
        self.fault = fault


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
        except Exception as error:  # whatever the readers of archives raise for what was never one
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
            return {part: member.read(MOST) for part, member in members.items() if member}
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as content:
        return {next(iter(archive.parts)): content.read(MOST)}


def fetch(archive: Archive, folder: Path) -> Path:
    """Fetch an archive into a folder, from the first mirror that gives what was published.

    Returns:
        The file.

    Raises:
        ValueError: no mirror gives it, or it cannot be written.
    """
    return cache.once(folder / archive.name, lambda part: _from_mirrors(archive, folder, part))


def _from_mirrors(archive: Archive, folder: Path, part: Path) -> None:
    failures = dict[str, str]()
    for address in archive.mirrors:
        before = "".join(f" ({urlsplit(mirror).hostname}: {failure})" for mirror, failure in failures.items())
        line = f"fetching {archive.name} from {urlsplit(address).hostname}{before}"
        print(line, file=sys.stderr, flush=True)  # noqa: T201
        try:
            download(address, part)
            verified(archive, [part])
        except (ConnectionError, Damaged) as error:
            failures[address] = error.fault if isinstance(error, Damaged) else str(error)
        else:
            return
    tried = "; ".join(f"{address}: {failure}" for address, failure in failures.items())
    raise ValueError(
        f"{archive.name}: is not on this machine and could not be fetched ({tried}); put it into {folder}, or"
        " name its folder with data.dir"
    )


def download(address: str, file: Path) -> None:
    """Write what is at an address to a file.

    Raises:
        ConnectionError: nothing came, or not all; why.
        OSError: it cannot be written.
    """
    import pooch
    import requests

    get = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=2**18, timeout=TIMEOUT)
    try:
        with _Limited(io.FileIO(file, "wb")) as output:
            get(address, output, None)
    except requests.HTTPError as error:
        raise ConnectionError(f"status {error.response.status_code}") from None
    except requests.Timeout:
        raise ConnectionError(f"no answer within {TIMEOUT} s") from None
    except requests.exceptions.ChunkedEncodingError:
        raise ConnectionError("the connection broke off") from None
    except requests.RequestException:
        raise ConnectionError("no connection") from None
    except OSError as error:
        if error.errno is None:  # not the disk, but what requests needs, such as its certificates
            raise ConnectionError(reason(error)) from None
        raise


class _Limited(io.BufferedWriter):
    """A file that takes no more than any published one has."""

    def write(self, content: Any) -> int:
        if self.tell() + len(content) > MOST:
            raise ConnectionError(f"sends more than {MOST:,} bytes")
        return super().write(content)
