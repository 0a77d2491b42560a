"""Image files: found in folders, decoded, and kept decoded in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, groupby
from pathlib import Path
from threading import Condition
from typing import BinaryIO, Final, NamedTuple, TypeVar

import numpy as np
import PIL
import PIL.Image
import torch
from torch import Tensor

from satae.data.dataset import OnDisk
from satae.data.decoding import (
    Background,
    DecodedImage,
    PageContent,
    Rendering,
    check_pixels,
    choose_rendering,
    describe_rendering,
    describe_sizes,
    examine_page,
    page_numbers,
    to_pixels,
)
from satae.data.local_files import cache_folder, expand_path, make_once
from satae.data.numeric_arrays import is_fill_value
from satae.data.wide_images import MAX_16_BITS
from satae.messages import count_words, one_line, reason

IMAGE_SUFFIXES: Final = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
MAX_KINDS: Final = 6  # of files that are not read, in a note
PILLOW_FORMATS: Final = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # others may start programs, as EPS does
PILLOW_DAMAGES: Final = (LookupError, TypeError, struct.error)  # where a file ends early; their texts say nothing
PILLOW_ERRORS: Final = (
    *PILLOW_DAMAGES,
    OSError,
    SyntaxError,
    ValueError,
    AttributeError,
    MemoryError,
    PIL.Image.DecompressionBombError,
    PIL.Image.DecompressionBombWarning,  # where warnings are errors
)
IMAGES_PER_WRITE: Final = 256  # images decoded between two writes
PIXELS_AT_ONCE: Final = 2**26  # of images that are decoded at the same time, or a single larger image
DECODER: Final = "decoder 5"  # another one does not read what an earlier one left in the cache

Work = TypeVar("Work")
Result = TypeVar("Result")


class ImageFile(NamedTuple):
    """A file with one image or several pages."""

    name: str  # for messages
    open: Callable[[], BinaryIO]
    formats: tuple[str, ...] = PILLOW_FORMATS


class Survey(NamedTuple):
    """What was found in some image files before they are decoded."""

    pages: list[list[int]]  # of each file: the numbers of its pages that are read
    largest: int  # number of pixels of the largest page
    rendering: Rendering
    notes: list[str]  # what the user should know


class DecodedImages(NamedTuple):
    """Images in a file, and where they come from."""

    x: OnDisk  # (N, C, H, W)
    file_numbers: Tensor  # (N,): of the file that each image is in
    rendering: Rendering
    notes: list[str]

    @property
    def groups(self) -> Tensor | None:
        """The number of the file that each image is in, if a file holds several."""
        return self.file_numbers if len(self.file_numbers.unique()) < len(self.file_numbers) else None


def find_images(folder: str, option: str = "path") -> tuple[list[Path], list[str]]:
    """The image files below a folder, in the order of their names, and notes on what is left out.

    Args:
        folder: as the user types it.
        option: the name of the option with the folder, for messages.

    Raises:
        ValueError: the folder is missing, has no images, or cannot be read.
    """
    root = expand_path(folder)
    if root.is_file():
        raise ValueError(f"{option}={folder}: is a file; name the folder with the images, or use data=array for .npy")
    if not root.is_dir():
        raise ValueError(f"{option}={folder}: no such folder; name one with images in it")

    def refuse(error: OSError) -> None:
        raise ValueError(f"{error.filename}: cannot be read ({reason(error)}); make it readable, or remove it")

    files, hidden, others = list[Path](), list[str](), Counter[str]()
    seen, repeated = set[str](), list[str]()
    for place, folders, names in os.walk(root, onerror=refuse, followlinks=True):
        if (real := os.path.realpath(place)) in seen:  # a link can lead to a folder above it
            repeated.append(os.path.relpath(place, root))
            folders.clear()
            continue
        seen.add(real)
        hidden += (f"{name}/" for name in folders if name.startswith("."))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if (suffix := os.path.splitext(name)[1].lower()) not in IMAGE_SUFFIXES:
                others[suffix or name] += not name.startswith(".")
            elif not name.startswith("."):
                files.append(Path(place, name))
            elif not name.startswith("._"):  # with which macOS begins the names of its notes on a file
                hidden.append(name)
    if not files:
        raise ValueError(
            f"{option}={folder}: no images in it; there must be files that end in {' '.join(sorted(IMAGE_SUFFIXES))}"
        )
    if other := next((file for file in files if not file.is_file()), None):
        raise ValueError(f"{other}: is not a file, or a link to nothing; remove it")
    kinds = [
        f"{kind} ({count})" for kind, count in sorted(others.items(), key=lambda item: (-item[1], item[0])) if count
    ]
    left_out = {
        f"{count_words(others.total(), 'file is', 'files are')} not read as images": kinds,
        f"{count_words(len(hidden), 'hidden image or folder is', 'hidden images and folders are')} left out": hidden,
        f"{count_words(len(repeated), 'link leads', 'links lead')} to a folder that is read already": repeated,
    }
    return sorted(files), [
        f"{option}={folder}: {what}: {_first_few(names)}" for what, names in left_out.items() if names
    ]


def _first_few(names: Sequence[str]) -> str:
    """The first of some names, in one line."""
    return ", ".join(map(one_line, names[:MAX_KINDS])) + (", ..." if len(names) > MAX_KINDS else "")


def local_image(file: Path) -> ImageFile:
    """An image file on this machine."""
    return ImageFile(str(file), lambda: open(file, "rb"))


@contextmanager
def open_image(file: ImageFile) -> Iterator[tuple[PIL.Image.Image, BinaryIO]]:
    """Open an image file; errors that Pillow raises inside the context become one line with its name.

    Raises:
        ValueError: it cannot be read as an image.
    """
    try:
        with file.open() as stream, PIL.Image.open(stream, formats=file.formats) as image:
            yield image, stream
    except PILLOW_ERRORS as error:
        why = "it is damaged" if isinstance(error, PILLOW_DAMAGES) else reason(error)
        why = "its format is unknown" if isinstance(error, PIL.UnidentifiedImageError) else why
        raise ValueError(f"{file.name}: cannot be read as an image ({why}); replace it or remove it") from None


def survey(
    files: Sequence[ImageFile], background: Background, *, size: int | None, colour: bool, like: Rendering | None = None
) -> Survey:
    """Look into every image file, and decide for all of them how they are decoded.

    Args:
        files: the files.
        background: what transparent pixels are drawn on.
        size: side of the images, as for :func:`satae.data.decoding.to_pixels`.
        colour: as for :func:`satae.data.decoding.to_pixels`.
        like: decoded like other images, rather than by what these contain.

    Raises:
        ValueError: a file cannot be read as an image.
    """
    budget = _PixelBudget()

    def look(file: ImageFile) -> tuple[list[int], int, list[PageContent]]:
        with open_image(file) as (image, stream):
            check_pixels(image)
            with budget.take(image.width * image.height):
                pages, left_out = page_numbers(image, stream)
                contents = []
                for page in pages:
                    image.seek(page)
                    contents.append(examine_page(image, stream))
                return pages, left_out, contents

    looked = [one for part in _in_threads(_or_fault(look), files, IMAGES_PER_WRITE, "looking at") for one in part]
    _refuse_unreadable([one for one in looked if isinstance(one, ValueError)])
    found = [one for one in looked if not isinstance(one, ValueError)]
    contents = [page for _, _, pages in found for page in pages]
    rendering = choose_rendering(contents, background, like)
    notes = describe_rendering(contents, rendering, background)
    notes += _find_fill_values(files, [pages for _, _, pages in found], rendering)
    several = [len(pages) for pages, _, _ in found if len(pages) > 1]
    if several:
        notes.append(
            f"{len(several):,} of {len(files):,} files hold several pages or frames: each is an image,"
            f" {len(contents):,} in all"
        )
    if left_out := sum(number for _, number, _ in found):
        notes.append(f"{left_out:,} previews or masks inside the files are left out")
    in_color = sum(page.has_color for page in contents)
    if in_color and not colour:
        notes.append(
            f"{in_color:,} of {len(contents):,} images are saved in color and become grey; data.colour=true keeps the"
            " color"
        )
    if size:
        notes += describe_sizes([page.size for page in contents], size)
    largest = max(page.size[0] * page.size[1] for page in contents)
    return Survey([pages for pages, _, _ in found], largest, rendering, notes)


def _find_fill_values(
    files: Sequence[ImageFile], found: Sequence[Sequence[PageContent]], rendering: Rendering
) -> list[str]:
    """A line for each end of the scale that may stand for missing numbers."""
    wide = [page.wide for pages in found for page in pages if page.wide]
    usual = [one.usual for one in wide if one.usual]
    if not usual or not rendering.fractions:
        return []
    lines, low, high = list[str](), min(low for low, _ in usual), max(high for _, high in usual)
    for number in {min(one.low for one in wide), max(one.high for one in wide)}:
        is_far = 0 < high - low < max(low - number, number - high)  # 16 bits may hold black and white alone
        if is_fill_value(number) and (is_far or not 0 <= number <= MAX_16_BITS):
            holds = [file for file, pages in zip(files, found, strict=True) if any(_holds(p, number) for p in pages)]
            more = f", as {count_words(len(holds) - 1, 'more file does', 'more files do')}" if len(holds) > 1 else ""
            lines.append(
                f"{holds[0].name}: holds {number:g}{more}: a fill value? All others, from {low:g} to {high:g}, are"
                " scaled by it; replace it by a number in their range"
            )
    return lines


def _holds(page: PageContent, number: float) -> bool:
    return page.wide is not None and number in (page.wide.low, page.wide.high)


def decode(
    files: Sequence[ImageFile], found: Survey, *, size: int | None, colour: bool
) -> Iterator[tuple[int, DecodedImage]]:
    """The pixels of every page of some files, with the number of its file, in their order.

    Args:
        files: the files.
        found: what :func:`survey` found in them.
        size: side of the images, as for :func:`satae.data.decoding.to_pixels`.
        colour: as for :func:`satae.data.decoding.to_pixels`.

    Raises:
        ValueError: an image cannot be read.
    """
    from tqdm import tqdm

    budget = _PixelBudget()

    def load(number: int) -> Iterator[tuple[int, DecodedImage]]:
        with open_image(files[number]) as (image, stream), budget.take(image.width * image.height):
            for page in found.pages[number]:
                image.seek(page)
                yield number, to_pixels(image, size, colour, found.rendering, stream)

    faults = list[ValueError]()
    few = IMAGES_PER_WRITE if size else max(1, min(IMAGES_PER_WRITE, PIXELS_AT_ONCE // found.largest))
    for has_many, group in groupby(range(len(files)), lambda number: len(found.pages[number]) > few):
        numbers = [*group]
        if has_many:  # pages are read one after the other: to open the file again is to walk over all pages before
            for number in numbers:
                bar = tqdm(load(number), "decoding", len(found.pages[number]), unit=" pages", disable=None, leave=False)
                try:
                    yield from bar
                except ValueError as error:
                    faults.append(error)
        else:
            at_once = few // max(len(found.pages[number]) for number in numbers)
            for done in _in_threads(_or_fault(lambda number: [*load(number)]), numbers, at_once, "decoding"):
                faults += [one for one in done if isinstance(one, ValueError)]
                yield from chain.from_iterable(one for one in done if not isinstance(one, ValueError))
    _refuse_unreadable(faults)


def _or_fault(work: Callable[[Work], Result]) -> Callable[[Work], Result | ValueError]:
    """Work that returns a ValueError instead of raising it, so that the rest can be looked at."""

    def attempt(item: Work) -> Result | ValueError:
        try:
            return work(item)
        except ValueError as error:
            return error

    return attempt


def _refuse_unreadable(faults: Sequence[ValueError]) -> None:
    """Refuse, by a ValueError, the first file that cannot be read, and say how many others there are."""
    if faults:
        others = count_words(len(faults) - 1, "other file cannot", "other files cannot")
        raise ValueError(f"{faults[0]}{f'; {others} be read either' if len(faults) > 1 else ''}")


def decode_once(
    name: str,
    origin: Sequence[str],
    files: Sequence[ImageFile],
    background: Background,
    *,
    size: int | None,
    colour: bool,
    like: Rendering | None = None,
) -> DecodedImages:
    """Images (N, C, H, W) from a file in the user's cache, which the first call writes.

    A file beside it with the ending ``.json`` holds how many pages each image file has, and what the user should know.

    Args:
        name: beginning of the name of that file.
        origin: everything that the images depend on; other contents make another file.
        files: the image files.
        background: what transparent pixels are drawn on.
        size: side of the images, as for :func:`satae.data.decoding.to_pixels`.
        colour: as for :func:`satae.data.decoding.to_pixels`.
        like: decoded like other images, rather than by what these contain.

    Raises:
        ValueError: an image cannot be read or has another shape than the first, or the file cannot be written.
    """
    kind = f"{size or 'full'}-{'colour' if colour else 'grey'}"
    contents = "\n".join([PIL.__version__, kind, DECODER, background, repr(like), *origin])
    key = hashlib.sha256(contents.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def write(part: Path) -> None:
        found = survey(files, background, size=size, colour=colour, like=like)
        with part.open("wb") as output:
            _write_images(output, files, found, size, colour)
        about = {"pages": [len(pages) for pages in found.pages], "rendering": found.rendering, "notes": found.notes}
        beside = part.with_suffix(".json")
        beside.write_text(json.dumps(about))
        beside.replace(file.with_suffix(".json"))

    file = cache_folder() / "decoded" / f"{name.lstrip('.')[:60]}-{kind}-{key}.npy"
    make_once(file, write)
    try:
        x = OnDisk.of(np.load(file, mmap_mode="r", allow_pickle=False))
        about = json.loads(file.with_suffix(".json").read_text())
        numbers = torch.arange(len(files)).repeat_interleave(torch.tensor(about["pages"]))
        if len(numbers) != len(x):
            raise ValueError("it has another number of images")
        return DecodedImages(x, numbers, _restore_rendering(*about["rendering"]), about["notes"])
    except (OSError, ValueError, EOFError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{file}: is damaged ({reason(error)}); delete it, and it is made again") from None


def _restore_rendering(background: int | None, scale: list[float] | None, fractions: bool) -> Rendering:
    return Rendering(background, (scale[0], scale[1]) if scale else None, fractions)


def _write_images(output: BinaryIO, files: Sequence[ImageFile], found: Survey, size: int | None, colour: bool) -> None:
    """Write all pages as one array in the format of ``.npy``."""
    first: DecodedImage | None = None
    page, last = 0, -1
    for number, image in decode(files, found, size=size, colour=colour):
        page, last = page + 1 if number == last else 1, number
        if first is None:
            first = image
            header = {
                "descr": np.lib.format.dtype_to_descr(image.dtype),
                "fortran_order": False,
                "shape": (sum(map(len, found.pages)), *image.shape),
            }
            np.lib.format.write_array_header_1_0(output, header)
        if image.shape != first.shape:
            sizes = [f"{pixels.shape[2]}x{pixels.shape[1]}" for pixels in (image, first)]
            where = files[number].name + (f", page {page}" if len(found.pages[number]) > 1 else "")
            raise ValueError(f"{where}: is {sizes[0]}, and the first image {sizes[1]}; set size")
        output.write(np.ascontiguousarray(image).tobytes())


class _PixelBudget:
    """Lets threads wait until few enough pixels are decoded at the same time."""

    def __init__(self) -> None:
        self._free, self._change = PIXELS_AT_ONCE, Condition()

    @contextmanager
    def take(self, pixels: int) -> Iterator[None]:
        """Hold the memory of an image inside the context."""
        pixels = min(pixels, PIXELS_AT_ONCE)
        with self._change:
            self._change.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._change:
                self._free += pixels
                self._change.notify_all()


def _in_threads(
    work: Callable[[Work], Result], items: Sequence[Work], at_once: int, what: str
) -> Iterator[list[Result]]:
    """The results of some work, in order, a few at a time, with a progress bar on a terminal."""
    from tqdm import tqdm

    with (
        ThreadPoolExecutor() as pool,
        tqdm(total=len(items), desc=what, unit=" images", disable=None, leave=False) as bar,
    ):
        for start in range(0, len(items), at_once):
            part = items[start : start + at_once]
            yield list(pool.map(work, part))
            bar.update(len(part))
