"""Images in files: listed, decoded, and kept decoded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import PIL.Image
import PIL.ImageOps

from satae.data import cache
from satae.data.errors import reason
from satae.data.on_disk import OnDisk

Pixels = np.ndarray  # (C, height, width), uint8
ENDINGS: Final = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
FORMATS: Final = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # others may start programs, as EPS does
AT_ONCE: Final = 256  # images decoded between two writes


def listed(folder: str, option: str = "data.path") -> list[Path]:
    """The image files below a folder that an option names, in the order of their names; hidden ones are left out.

    Raises:
        ValueError: no folder, or none in it.
    """
    root = cache.located(folder)
    if root.is_file():
        raise ValueError(f"{option}={folder}: is a file; name the folder with the images, or use data=array for .npy")
    if not root.is_dir():
        raise ValueError(f"{option}={folder}: no such folder; name one with images in it")
    found, seen = list[Path](), set[str]()
    for place, folders, names in os.walk(root, onerror=_refuse, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if (real := os.path.realpath(place)) in seen:  # a link to where it lies
            folders.clear()
            continue
        seen.add(real)
        endings = ((name, os.path.splitext(name)[1].lower()) for name in names if not name.startswith("."))
        found += [Path(place, name) for name, ending in endings if ending in ENDINGS]
    if not found:
        raise ValueError(
            f"{option}={folder}: no images in it; there must be files that end in {' '.join(sorted(ENDINGS))}"
        )
    if unlike := next((file for file in found if not file.is_file()), None):
        raise ValueError(f"{unlike}: is no file, or a link that leads nowhere; take it away")
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise ValueError(f"{error.filename}: cannot be read ({reason(error)}); let it be read, or take it away")


def opened(file: Path, size: int | None, colour: bool) -> Pixels:
    """The pixels of an image file, as :func:`pixels` gives them.

    Raises:
        ValueError: it cannot be read as an image.
    """
    with readable(str(file)), PIL.Image.open(file, formats=FORMATS) as image:
        return pixels(image, size, colour)


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn whatever stops an image of some name from being read into one line.

    Raises:
        ValueError: something does.
    """
    try:
        yield
    except (OSError, SyntaxError, ValueError, AttributeError, MemoryError, PIL.Image.DecompressionBombError) as error:
        raise ValueError(f"{name}: cannot be read as an image ({reason(error)}); replace it or take it away") from None


def pixels(image: PIL.Image.Image, size: int | None, colour: bool) -> Pixels:
    """An image as grey levels, or red, green and blue.

    Args:
        image: turned as its camera says; numbers of 16 bits are taken down to 8.
        size: side of the square to which the middle of the image is scaled; None leaves it as it is.
        colour: three channels rather than one.

    Raises:
        ValueError: its numbers are of another kind.
    """
    image = PIL.ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("its numbers are fractions without a range")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode.startswith("I"):
        image = PIL.Image.fromarray((np.asarray(image) // 256).clip(0, 255).astype(np.uint8))
    image = image.convert("RGB" if colour else "L")
    if size:
        image = PIL.ImageOps.fit(image, (size, size), PIL.Image.Resampling.BICUBIC)
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)


def decoded(
    name: str,
    origin: Sequence[str],
    count: int,
    load: Callable[[int], Pixels],
    describe: Callable[[int], str],
    *,
    size: int | None,
    colour: bool,
) -> OnDisk:
    """All of some images, (N, C, H, W), from a file that is made the first time.

    Args:
        name: what it is called in the user's cache.
        origin: all that the images depend on.
        count: of the images.
        load: the pixels of the n-th.
        describe: says which one that is, for messages.
        size: of the pixels, as for :func:`pixels`.
        colour: likewise.

    Raises:
        ValueError: an image cannot be read, or has another shape than the first; or there is no room.
    """
    kind = f"{size or 'full'}-{'colour' if colour else 'grey'}"
    key = hashlib.sha256("\n".join([PIL.__version__, kind, *origin]).encode("utf-8", "surrogateescape")).hexdigest()[
        :16
    ]
    file = cache.once(
        cache.folder() / "decoded" / f"{name.lstrip('.')[:60]}-{kind}-{key}.npy",
        lambda part: _write(part, count, _loaded(count, load, describe)),
    )
    try:
        return OnDisk.of(np.load(file, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{file}: is damaged ({reason(error)}); delete it to have it made anew") from None


def _loaded(count: int, load: Callable[[int], Pixels], describe: Callable[[int], str]) -> Iterator[Pixels]:
    from tqdm import tqdm

    first = None
    with (
        ThreadPoolExecutor() as pool,
        tqdm(total=count, desc="decoding", unit=" images", disable=None, leave=False) as bar,
    ):
        for start in range(0, count, AT_ONCE):
            numbers = range(start, min(count, start + AT_ONCE))
            for number, image in zip(numbers, pool.map(load, numbers), strict=True):
                first = image if first is None else first
                if image.shape != first.shape:
                    sizes = [f"{found.shape[2]}x{found.shape[1]}" for found in (image, first)]
                    raise ValueError(
                        f"{describe(number)}: is {sizes[0]}, and the first image {sizes[1]}; set data.size"
                    )
                yield image
            bar.update(len(numbers))


def _write(file: Path, count: int, images: Iterator[Pixels]) -> None:
    with file.open("wb") as output:
        for number, image in enumerate(images):
            if number == 0:
                header = {"descr": "|u1", "fortran_order": False, "shape": (count, *image.shape)}
                np.lib.format.write_array_header_1_0(output, header)
            output.write(np.ascontiguousarray(image).tobytes())
