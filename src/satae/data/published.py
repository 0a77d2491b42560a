"""Published data sets: their files are found or fetched, and verified before anything in them is used."""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import tarfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

from satae.config.registry import DATA_SOURCES
from satae.data.local_files import cache_folder, expand_path, known_cache_folder, make_once, reason

MAX_BYTES: Final = 2**28  # read of one file or fetched from a mirror, at most; every published file is smaller
MAX_MEMBERS: Final = 1_000  # of an archive that are looked at: those that were published have ten
TIMEOUT_S: Final = 30  # seconds without a byte after which a mirror is given up


class Archive(NamedTuple):
    """One published file with a data set or a part of it."""

    name: str
    parts: Mapping[str, str]  # name of each file inside: sha256 of its decompressed bytes
    mirrors: tuple[str, ...]  # addresses of the archive, in the order in which they are tried
    folder: str = ""  # the folder that unpacking it makes


class PublishedSet(NamedTuple):
    """A data set that can be fetched."""

    name: str
    archives: tuple[Archive, ...]
    system: Path | None = None  # folder in which a package of the operating system puts the files


class DamagedFileError(ValueError):
    """A file does not hold what was published."""

    def __init__(self, archive: Archive, file: Path, fault: str) -> None:
        cache = known_cache_folder()
        delete = ", or delete it to have it fetched" if cache and file.is_relative_to(cache) else ""
        super().__init__(f"{file}: {fault}; replace it by the one from {archive.mirrors[0]}{delete}")
        self.fault = fault


def published_sets() -> dict[str, PublishedSet]:
    """All published data sets, by the name of their source."""
    return {entry.name: entry.facts["published"] for entry in DATA_SOURCES.entries() if "published" in entry.facts}


def read_published(published: PublishedSet, folder: str | None = None) -> dict[str, bytes]:
    """Read and verify every part of a data set: the decompressed bytes of each, by name. Missing files are fetched.

    If ``folder`` is given, it is the only place to look: it has the files, or a subfolder named after the data set.

    Raises:
        ValueError: a file is missing, is not what was published, or cannot be fetched.
    """
    parts = dict[str, bytes]()
    for archive in published.archives:
        files = find_archive(published, archive, folder)
        if files is None and folder is not None:
            raise ValueError(
                f"dir={folder}: has no {archive.name}; put it there, or leave dir out to have it looked for"
                " elsewhere and fetched"
            )
        parts |= read_archive(archive, files or [fetch_archive(archive, download_folder(published))])
    return parts


def search_folders(published: PublishedSet, folder: str | None = None) -> list[Path]:
    """The folders that may hold a data set, in the order of search."""
    if folder is not None:
        return [expand_path(folder), expand_path(folder) / published.name]
    cache = known_cache_folder()
    return [*([published.system] if published.system else []), *([cache / published.name] if cache else [])]


def download_folder(published: PublishedSet, folder: str | None = None) -> Path:
    """The folder that receives what is fetched.

    Raises:
        ConfigError: none is named, and the user has no cache.
    """
    return cache_folder() / published.name if folder is None else search_folders(published, folder)[-1]


def find_archive(published: PublishedSet, archive: Archive, folder: str | None = None) -> list[Path] | None:
    """The path of an archive, or the paths of its unpacked parts, in the first folder that has either."""
    for place in search_folders(published, folder):
        unpacked = ([below / part for part in archive.parts] for below in (place / archive.folder, place))
        for files in ([place / archive.name], *unpacked):
            if all(file.is_file() for file in files):
                return files
    return None


def is_complete(published: PublishedSet, folder: str | None = None) -> bool:
    """Whether all files of a data set exist; their contents are not checked."""
    return all(find_archive(published, archive, folder) for archive in published.archives)


def read_archive(archive: Archive, files: list[Path]) -> dict[str, bytes]:
    """Read and verify the parts of an archive, in the files that :func:`find_archive` found.

    Raises:
        DamagedFileError: the contents are not what was published.
    """
    parts = dict[str, bytes]()
    for file in files:
        try:
            parts |= _unpack(archive, file)
        except Exception as error:  # readers of archives raise many kinds of error for other files
            raise DamagedFileError(archive, file, f"cannot be read ({reason(error)})") from None
    for number, (name, digest) in enumerate(archive.parts.items()):
        content = parts.get(name, b"")
        found = hashlib.sha256(content).hexdigest()
        if found != digest:
            inside = f" in {name}" if len(files) < len(archive.parts) else ""
            fault = (
                f"is not what was published: {len(content):,} bytes{inside} with sha256 {found[:8]}, not {digest[:8]}"
            )
            raise DamagedFileError(archive, files[number % len(files)], fault)
    return parts


def _unpack(archive: Archive, file: Path) -> dict[str, bytes]:
    if file.name != archive.name:
        return {file.name: file.read_bytes()}
    if file.name.endswith(".tar.gz"):
        found = dict[str, bytes]()
        with tarfile.open(file) as tar:
            for member in islice(tar, MAX_MEMBERS):  # a list of all could fill the memory
                if (part := Path(member.name).name) in archive.parts:
                    if not member.isfile():
                        raise ValueError(f"{part} is no file")
                    found[part] = cast("IO[bytes]", tar.extractfile(member)).read(MAX_BYTES)
        return found
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as content:
        return {next(iter(archive.parts)): content.read(MAX_BYTES)}


def fetch_archive(archive: Archive, folder: Path) -> Path:
    """Fetch an archive into a folder, from the first mirror that sends what was published; returns its path.

    Raises:
        ValueError: no mirror sends it, or it cannot be written.
    """

    def fetch(part: Path) -> None:
        failures = dict[str, str]()
        for address in archive.mirrors:
            before = "".join(f" ({urlsplit(mirror).hostname}: {failure})" for mirror, failure in failures.items())
            line = f"fetching {archive.name} from {urlsplit(address).hostname}{before}"
            print(line, file=sys.stderr, flush=True)  # noqa: T201
            try:
                download(address, part)
                read_archive(archive, [part])
            except (ConnectionError, DamagedFileError) as error:
                failures[address] = error.fault if isinstance(error, DamagedFileError) else str(error)
            else:
                return
        tried = "; ".join(f"{address}: {failure}" for address, failure in failures.items())
        raise ValueError(
            f"{archive.name}: is not on this machine and could not be fetched ({tried}); put it into {folder}, or"
            " name its folder with data.dir"
        )

    return make_once(folder / archive.name, fetch)


def download(address: str, file: Path) -> None:
    """Write what a web address sends to a file.

    Raises:
        ConnectionError: nothing was sent, or only a part.
        OSError: the file cannot be written.
    """
    import pooch
    import requests

    get = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=2**18, timeout=TIMEOUT_S)
    try:
        with _LimitedFile(io.FileIO(file, "wb")) as output:
            get(address, output, None)
    except requests.HTTPError as error:
        raise ConnectionError(f"status {error.response.status_code}") from None
    except requests.Timeout:
        raise ConnectionError(f"no answer within {TIMEOUT_S} s") from None
    except requests.exceptions.ChunkedEncodingError:
        raise ConnectionError("the connection broke off") from None
    except requests.RequestException:
        raise ConnectionError("no connection") from None
    except OSError as error:
        if error.errno is None:  # not from the disk: requests lacks something, such as its certificates
            raise ConnectionError(reason(error)) from None
        raise


class _LimitedFile(io.BufferedWriter):
    """A file that refuses to grow beyond ``MAX_BYTES``."""

    def write(self, content: Any) -> int:
        if self.tell() + len(content) > MAX_BYTES:
            raise ConnectionError(f"sends more than {MAX_BYTES:,} bytes")
        return super().write(content)
