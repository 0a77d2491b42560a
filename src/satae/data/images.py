"""Image files: found in folders, decoded, and kept decoded in the cache."""

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

from satae.data.dataset import OnDisk
from satae.data.local_files import cache_folder, expand_path, make_once, reason

Pixels = np.ndarray  # (C, height, width), uint8
IMAGE_SUFFIXES: Final = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
PILLOW_FORMATS: Final = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # others may start programs, as EPS does
IMAGES_PER_WRITE: Final = 256  # images decoded between two writes


def find_images(folder: str, option: str = "path") -> list[Path]:
    """The image files below a folder, in the order of their names; hidden ones are left out.

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

    files, seen = list[Path](), set[str]()
    for place, folders, names in os.walk(root, onerror=refuse, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if (real := os.path.realpath(place)) in seen:  # a link can lead to a folder above it
            folders.clear()
            continue
        seen.add(real)
        suffixes = ((name, os.path.splitext(name)[1].lower()) for name in names if not name.startswith("."))
        files += [Path(place, name) for name, suffix in suffixes if suffix in IMAGE_SUFFIXES]
    if not files:
        raise ValueError(
            f"{option}={folder}: no images in it; there must be files that end in {' '.join(sorted(IMAGE_SUFFIXES))}"
        )
    if other := next((file for file in files if not file.is_file()), None):
        raise ValueError(f"{other}: is not a file, or a link to nothing; remove it")
    return sorted(files)


def read_image(file: Path, size: int | None, colour: bool) -> Pixels:
    """The pixels of an image file, as :func:`to_pixels` returns them.

    Raises:
        ValueError: it cannot be read as an image.
    """
    with explain_image_errors(str(file)), PIL.Image.open(file, formats=PILLOW_FORMATS) as image:
        return to_pixels(image, size, colour)


@contextmanager
def explain_image_errors(name: str) -> Iterator[None]:
    """Turn the errors that Pillow raises for an image into one line with its name.

    Raises:
        ValueError: an error was raised inside the context.
    """
    try:
        yield
    except (OSError, SyntaxError, ValueError, AttributeError, MemoryError, PIL.Image.DecompressionBombError) as error:
        raise ValueError(f"{name}: cannot be read as an image ({reason(error)}); replace it or remove it") from None


def to_pixels(image: PIL.Image.Image, size: int | None, colour: bool) -> Pixels:
    """Convert an image to grey levels, or to red, green and blue.

    Args:
        image: the image. It is turned as its EXIF data say; numbers of 16 bits are reduced to 8.
        size: side of the square to which the middle of the image is scaled; None leaves it as it is.
        colour: three channels rather than one.

    Raises:
        ValueError: its numbers are fractions.
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


def decode_once(
    name: str,
    origin: Sequence[str],
    count: int,
    load: Callable[[int], Pixels],
    describe: Callable[[int], str],
    *,
    size: int | None,
    colour: bool,
) -> OnDisk:
    """Images (N, C, H, W) from a file in the user's cache, which the first call writes.

    Args:
        name: beginning of the name of that file.
        origin: everything that the images depend on; other contents make another file.
        count: number of images.
        load: returns the pixels of the n-th image.
        describe: says which image the n-th is, for messages.
        size: side of the images, as for :func:`to_pixels`.
        colour: as for :func:`to_pixels`.

    Raises:
        ValueError: an image cannot be read or has another shape than the first, or the file cannot be written.
    """
    kind = f"{size or 'full'}-{'colour' if colour else 'grey'}"
    contents = "\n".join([PIL.__version__, kind, *origin]).encode("utf-8", "surrogateescape")
    key = hashlib.sha256(contents).hexdigest()[:16]

    def write(part: Path) -> None:
        with part.open("wb") as output:
            for number, image in enumerate(_decode_all(count, load, describe)):
                if number == 0:
                    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *image.shape)}
                    np.lib.format.write_array_header_1_0(output, header)
                output.write(np.ascontiguousarray(image).tobytes())

    file = make_once(cache_folder() / "decoded" / f"{name.lstrip('.')[:60]}-{kind}-{key}.npy", write)
    try:
        return OnDisk.of(np.load(file, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{file}: is damaged ({reason(error)}); delete it, and it is made again") from None


def _decode_all(count: int, load: Callable[[int], Pixels], describe: Callable[[int], str]) -> Iterator[Pixels]:
    from tqdm import tqdm

    first = None
    with (
        ThreadPoolExecutor() as pool,
        tqdm(total=count, desc="decoding", unit=" images", disable=None, leave=False) as bar,
    ):
        for start in range(0, count, IMAGES_PER_WRITE):
            numbers = range(start, min(count, start + IMAGES_PER_WRITE))
            for number, image in zip(numbers, pool.map(load, numbers), strict=True):
                first = image if first is None else first
                if image.shape != first.shape:
                    sizes = [f"{pixels.shape[2]}x{pixels.shape[1]}" for pixels in (image, first)]
                    raise ValueError(f"{describe(number)}: is {sizes[0]}, and the first image {sizes[1]}; set size")
                yield image
            bar.update(len(numbers))
