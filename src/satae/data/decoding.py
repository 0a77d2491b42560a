"""Decodes one page of an image: what is transparent, and numbers that 8 bits cannot hold."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO, Final, Literal, NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageOps

from satae.data.numeric_arrays import is_fill_value
from satae.data.wide_images import (
    MAX_16_BITS,
    MAX_PIXELS,
    ORIENTATION,
    PHOTOMETRIC,
    loses_bits,
    read_tag,
    upright,
    wide_numbers,
)

DecodedImage = np.ndarray  # (C, height, width): uint8, or float32 in [0, 1]
Background = Literal["auto", "white", "black"]

ROWS_AT_ONCE: Final = 1024  # of a transparent image
BLACK: Final = 0
WHITE: Final = 255
EVEN_BITS: Final = (8, 10, 12, 14, 16)  # of a camera or a scanner
LUMA: Final = (0.299, 0.587, 0.114)  # weights of red, green and blue in a grey level: ITU-R BT.601, as in Pillow
WHITE_IS_ZERO: Final = 0
SUBFILE_TYPE: Final = 254
MAX_PAGES: Final = 100_000  # of a TIFF: Pillow compares the place of each page with those of all before
NO_PAGE: Final = 1 | 4  # in SUBFILE_TYPE: a page in a lower resolution, or a mask

# images up to MAX_PIXELS are wanted, larger ones are refused by check_pixels
warnings.filterwarnings("ignore", category=PIL.Image.DecompressionBombWarning)


class Rendering(NamedTuple):
    """How all images of a data set become brightness from 0 to 1: one decision for all of them."""

    background: int | None = None  # grey level behind transparent pixels; None without such pixels
    scale: tuple[float, float] | None = None  # the numbers that become 0 and 1, if 8 bits cannot hold the numbers
    fractions: bool = False  # float32, because uint8 would lose levels


class PageContent(NamedTuple):
    """What one page of an image contains, as far as a :class:`Rendering` depends on it."""

    size: tuple[int, int]  # width, height
    has_color: bool  # saved in color, even if every pixel is grey
    mode: str  # such as "RGB" or "CMYK"
    is_turned: bool  # its EXIF data say that it is to be turned or mirrored
    loses_bits: bool = False  # more than 8 bits for each color, of which Pillow reads 8
    visible: tuple[float, float] | None = None  # sum of alpha times grey level, and of alpha; None if nothing is hidden
    wide: WideContent | None = None  # of numbers that 8 bits cannot hold


class WideContent(NamedTuple):
    """The numbers of a page that 8 bits may not hold."""

    low: float
    high: float
    is_whole: bool  # every number is a whole one
    step: int  # 257 or 256 if every number is a multiple of it (8 bits saved as 16), else 1
    usual: tuple[float, float] | None  # the smallest and the largest number, without low and high if they may be fills


def check_pixels(image: PIL.Image.Image) -> None:
    """Refuse an image that is too large to decode.

    Raises:
        ValueError: it has more than ``MAX_PIXELS`` pixels.
    """
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"it is {width}x{height}, more than {MAX_PIXELS:,} pixels; make it smaller")


def page_numbers(image: PIL.Image.Image, stream: BinaryIO) -> tuple[list[int], int]:
    """The numbers of the pages or frames of an open image that are read, and how many are not.

    Previews are not read: pages of a TIFF in a lower resolution, masks, and what a camera adds to a JPEG.

    Args:
        image: the image.
        stream: its file.

    Raises:
        ValueError: a TIFF has more than ``MAX_PAGES`` pages, or a file ends before its last page.
    """
    if image.format == "TIFF":
        count, pages = 0, list[int]()
        with suppress(EOFError):  # after the last page
            while count <= MAX_PAGES:
                if not read_tag(image, count, SUBFILE_TYPE, 0) & NO_PAGE:
                    pages.append(count)
                count += 1
            raise ValueError(f"it has more than {MAX_PAGES:,} pages; divide it into several files")
        if getattr(getattr(image, "tag_v2", None), "next", 0):  # another page should follow, and cannot be read
            raise ValueError(f"it is cut off, or damaged, after page {count}")
        pages = pages or [0]
    else:
        count = int(getattr(image, "n_frames", 1))
        if image.format == "GIF" and not _has_gif_trailer(stream):
            raise ValueError(f"it is cut off after frame {count}")
        pages = [0] if image.format == "MPO" else [*range(count)]
    return pages, count - len(pages)


def _has_gif_trailer(stream: BinaryIO) -> bool:
    """Whether a GIF is whole: Pillow takes one that is cut off between two frames for one of fewer frames."""

    def skip(count: int) -> None:
        stream.seek(count, io.SEEK_CUR)

    place = stream.tell()
    stream.seek(10)
    flags = stream.read(3)[0]
    skip(_color_table_bytes(flags))
    while (kind := stream.read(1)) not in (b"", b";"):
        if kind == b",":  # a frame: its place, size and colors
            skip(_color_table_bytes(stream.read(9)[8]))
        if kind in (b",", b"!"):  # or an extension: a byte, then blocks that begin with their length
            skip(1)
            while (length := stream.read(1)) not in (b"", b"\0"):
                skip(length[0])
    stream.seek(place)
    return kind == b";"


def _color_table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 128 else 0


def examine_page(image: PIL.Image.Image, stream: BinaryIO) -> PageContent:
    """What the current page of an open image contains; its pixels are decoded only if that depends on them.

    Args:
        image: the image.
        stream: its file.

    Raises:
        ValueError: a number is not finite, or the image is too large.
    """
    check_pixels(image)
    has_color = image.mode not in ("1", "L", "LA", "La", "F") and not image.mode.startswith("I")
    is_turned = image.getexif().get(ORIENTATION) in range(2, 9)
    found = wide_numbers(image, stream)
    if found is not None:
        values, alpha = found
        if not np.isfinite(values).all():
            raise ValueError("it holds numbers that are not finite")
        step = next((step for step in (257, 256) if not (values % step).any()), 1)
        low, high = float(values.min()), float(values.max())
        fills = [end for end in (low, high) if is_fill_value(end)]
        usual = values[~np.isin(values, fills)] if fills else np.array([low, high])
        ends = (float(usual.min()), float(usual.max())) if usual.size else None
        wide = WideContent(low, high, bool((values == np.floor(values)).all()), step, ends)
        visible = None
        if alpha is not None and alpha.min() < 1:
            grey = (_grey(values) - wide.low) / max(wide.high - wide.low, 1) * 255
            visible = float((grey * alpha).sum()), float(alpha.sum())
        return PageContent(image.size, values.shape[2] == 3, image.mode, is_turned, False, visible, wide)
    visible = None
    if image.has_transparency_data:
        layers = image if image.mode == "RGBA" else image.convert("RGBA")
        if layers.getchannel("A").getextrema()[0] != 255:
            alpha_bytes, grey_bytes = np.asarray(layers.getchannel("A")), np.asarray(layers.convert("L"))
            rows = zip(grey_bytes, alpha_bytes, strict=True)
            visible = (
                sum(float(np.dot(grey.astype(float), alpha)) for grey, alpha in rows) / 255,
                float(alpha_bytes.sum(dtype=np.float64)) / 255,
            )
    return PageContent(image.size, has_color, image.mode, is_turned, loses_bits(image, stream), visible)


def choose_rendering(pages: Sequence[PageContent], background: Background, like: Rendering | None = None) -> Rendering:
    """One rendering for all pages.

    Args:
        pages: what is in them.
        background: what transparent pixels are drawn on; ``"auto"`` takes white if the visible pixels are dark.
        like: the rendering of other images, which is kept as far as those were such images.
    """
    own = Rendering(_choose_background(pages, background), *_choose_scale(pages))
    if like is None:
        return own
    return Rendering(
        own.background if like.background is None else like.background,
        like.scale or own.scale,
        like.fractions if like.scale else own.fractions,
    )


def _choose_background(pages: Sequence[PageContent], background: Background) -> int | None:
    """The grey level behind transparent pixels; None without such pixels."""
    seen = [page.visible for page in pages if page.visible]
    if not seen:
        return None
    brightness = sum(grey for grey, _ in seen) / max(sum(alpha for _, alpha in seen), 1e-9)
    return {"white": WHITE, "black": BLACK, "auto": WHITE if brightness < WHITE / 2 else BLACK}[background]


def _choose_scale(pages: Sequence[PageContent]) -> tuple[tuple[float, float] | None, bool]:
    """The numbers that become 0 and 1, and whether 8 bits would lose levels; None if all images have 8 bits."""
    wide = [page.wide for page in pages if page.wide]
    if not wide:
        return None, False
    low, high = min(one.low for one in wide), max(one.high for one in wide)
    is_whole = all(one.is_whole for one in wide)
    if low >= 0 and high <= 1 and not is_whole:
        return (0.0, 1.0), True
    if low < 0 or high > MAX_16_BITS or not is_whole:
        return (low, high if high > low else low + 1), True
    for step in (257, 256):
        if high > MAX_16_BITS / 2 and all(one.step % step == 0 for one in wide):  # 8 bits, saved as 16
            return (0.0, 255.0 * step), False
    bits = next(bits for bits in EVEN_BITS if high < 2**bits)
    return (0.0, 2.0**bits - 1), bits > 8


def to_pixels(
    image: PIL.Image.Image,
    size: int | None,
    colour: bool,
    rendering: Rendering = Rendering(),  # noqa: B008
    stream: BinaryIO | None = None,
) -> DecodedImage:
    """Convert the current page of an image to grey levels, or to red, green and blue.

    Args:
        image: the image. It is turned as its EXIF data say.
        size: side of the square to which the middle of the image is scaled; None leaves it as it is.
        colour: three channels rather than one.
        rendering: what becomes of transparent pixels and of numbers that 8 bits cannot hold.
        stream: the file of the image.
    """
    check_pixels(image)
    found = wide_numbers(image, stream)
    if found is None:
        drawn = _draw(upright(image), rendering.background or BLACK, colour)
        if not rendering.fractions:
            return _to_array(_fit(drawn, size))
        numbers = np.atleast_3d(np.asarray(drawn)) / 255
    else:
        values, alpha = found
        low, high = rendering.scale or (0, MAX_16_BITS)
        numbers = values - low
        numbers /= high - low
        np.clip(numbers, 0, 1, out=numbers)
        if image.format == "TIFF" and read_tag(image, None, PHOTOMETRIC, 1) == WHITE_IS_ZERO:
            np.subtract(1, numbers, out=numbers)
        if alpha is not None:
            numbers = numbers * alpha[..., None] + (rendering.background or BLACK) / 255 * (1 - alpha[..., None])
        if not colour:
            numbers = _grey(numbers)[..., None]
        elif numbers.shape[2] == 1:
            numbers = numbers.repeat(3, axis=2)
        if not rendering.fractions:
            levels = (numbers * 255).round().astype(np.uint8)
            return _to_array(_fit(PIL.Image.fromarray(levels if colour else levels[..., 0]), size))
    planes = [_fit(PIL.Image.fromarray(plane.astype(np.float32)), size) for plane in np.moveaxis(numbers, 2, 0)]
    return np.stack([np.asarray(plane) for plane in planes]).clip(0, 1)


def _to_array(image: PIL.Image.Image) -> DecodedImage:
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)


def _fit(image: PIL.Image.Image, size: int | None) -> PIL.Image.Image:
    return PIL.ImageOps.fit(image, (size, size), PIL.Image.Resampling.BICUBIC) if size else image


def _grey(values: np.ndarray) -> np.ndarray:
    """Grey levels (H, W) of numbers (H, W, 1 or 3)."""
    return values[..., 0] if values.shape[2] == 1 else values @ np.array(LUMA)


def _draw(image: PIL.Image.Image, background: int, colour: bool) -> PIL.Image.Image:
    """An image of 8 bits in grey or in color, drawn on a background if a part of it is transparent."""
    mode = "RGB" if colour else "L"
    if not image.has_transparency_data:
        return image.convert(mode)
    layers = image if image.mode == "RGBA" else image.convert("RGBA")
    if layers.getchannel("A").getextrema()[0] == 255:
        return (layers if image.mode == "P" else image).convert(mode)
    drawn = PIL.Image.new(mode, image.size)
    for top in range(0, image.height, ROWS_AT_ONCE):
        part = layers.crop((0, top, image.width, min(image.height, top + ROWS_AT_ONCE)))
        solid = PIL.Image.new("RGBA", part.size, (background, background, background, 255))
        drawn.paste(PIL.Image.alpha_composite(solid, part).convert(mode), (0, top))
    return drawn


def describe_rendering(pages: Sequence[PageContent], rendering: Rendering, background: Background) -> list[str]:
    """Lines that say what becomes of transparent pixels and of numbers that 8 bits cannot hold."""
    lines, count = list[str](), len(pages)
    if seen := [page for page in pages if page.visible]:
        name, other = ("white", "black") if rendering.background == WHITE else ("black", "white")
        why = f", since they are {'dark' if name == 'white' else 'bright'}" if background == "auto" else ""
        lines.append(
            f"{len(seen):,} of {count:,} images are transparent: they are drawn on {name}{why};"
            f" data.background={other} draws them on {other}"
        )
    wide = [page.wide for page in pages if page.wide]
    if wide and rendering.scale:
        low, high = min(one.low for one in wide), max(one.high for one in wide)
        scale_low, scale_high = rendering.scale
        kept = "as float32" if rendering.fractions else "as 8 bits, which lose nothing"
        rest = "" if len(wide) == count else "; the others have 8 bits, of which 255 becomes 1"
        cut = "; what lies outside is cut off" if low < scale_low or high > scale_high else ""
        lines.append(
            f"{len(wide):,} of {count:,} images are not of 8 bits: they hold numbers from {low:g} to {high:g}; in all,"
            f" {scale_low:g} becomes 0 and {scale_high:g} becomes 1, {kept}{rest}{cut}"
        )
    if lossy := sum(page.loses_bits for page in pages):
        lines.append(
            f"{lossy:,} of {count:,} images have more than 8 bits for each color, of which the upper 8 are read; save"
            " them as PNG without interlacing to keep all"
        )
    if turned := sum(page.is_turned for page in pages):
        lines.append(f"{turned:,} of {count:,} images are turned or mirrored, as their EXIF data say")
    for mode in sorted({"CMYK", "LAB", "HSV", "YCbCr"} & {page.mode for page in pages}):
        number = sum(page.mode == mode for page in pages)
        lines.append(f"{number:,} of {count:,} images are saved as {mode}: they become RGB without their color profile")
    return lines


def describe_sizes(sizes: Sequence[tuple[int, int]], side: int) -> list[str]:
    """A line on images that are enlarged, shrunk or cut to a square of ``side`` pixels; none if all fit."""
    said = list[str]()
    if smaller := [size for size in sizes if min(size) < side]:
        width, height = min(smaller, key=min)
        said.append(f"{len(smaller):,} are enlarged, the smallest from {width}x{height}")
    if larger := [size for size in sizes if min(size) > side]:
        width, height = max(larger, key=min)
        said.append(f"{len(larger):,} are shrunk, the largest from {width}x{height}")
    if cut := sum(width != height for width, height in sizes):
        share = sum(min(size) / max(size) for size in sizes) / len(sizes)
        said.append(f"{cut:,} are not square: their middle is read, {share:.0%} of all pixels")
    return [f"of {len(sizes):,} images that become {side}x{side} (data.size), {'; '.join(said)}"] if said else []
