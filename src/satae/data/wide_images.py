"""Reads the numbers of images that 8 bits cannot hold, those too of which Pillow reads 8 bits."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO, Final

import numpy as np
import PIL.Image
import PIL.ImageOps

MAX_PIXELS: Final = 2**26  # in one image: 0.3 GB with red, green, blue and alpha
MAX_16_BITS: Final = 65535
PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS: Final = {2: 3, 4: 2, 6: 4}  # by color type: RGB, grey and alpha, RGBA
ORIENTATION: Final = 0x0112  # tags of TIFF and EXIF
BITS_PER_SAMPLE: Final = 258
PHOTOMETRIC: Final = 262
SAMPLE_FORMAT: Final = 339
WIDTH: Final = 256
HEIGHT: Final = 257
COMPRESSION: Final = 259
FILL_ORDER: Final = 266
LOSSLESS: Final = (1, 5, 8, 32773, 32946)  # none, LZW, deflate, PackBits, deflate
SAMPLES_PER_PIXEL: Final = 277
ROWS_PER_STRIP: Final = 278
PLANES: Final = 284
PREDICTOR: Final = 317
HORIZONTAL_DIFFERENCES: Final = 2
TILE_WIDTH: Final = 322
TILE_HEIGHT: Final = 323
STRIP_PLACES: Final = 273
STRIP_COUNTS: Final = 279  # of bytes
TILE_PLACES: Final = 324
TILE_COUNTS: Final = 325
COPIED_TAGS: Final = (HEIGHT, COMPRESSION, FILL_ORDER, ROWS_PER_STRIP, TILE_HEIGHT)
LONG: Final = 4  # a type of tag
MAX_BYTES: Final = 2**30  # of a page of 16 bits in color
GREY_TAGS: Final = {  # of a grey image of 16 bits without differences
    BITS_PER_SAMPLE: 16,
    PHOTOMETRIC: 1,
    ORIENTATION: 1,
    SAMPLES_PER_PIXEL: 1,
    PREDICTOR: 1,
    SAMPLE_FORMAT: 1,
}


def upright(image: PIL.Image.Image) -> PIL.Image.Image:
    """The image, turned as the EXIF tag of a camera says."""
    return image if image.getexif().get(ORIENTATION, 1) == 1 else PIL.ImageOps.exif_transpose(image)


def wide_numbers(image: PIL.Image.Image, stream: BinaryIO | None) -> tuple[np.ndarray, np.ndarray | None] | None:
    """The numbers (H, W, 1 or 3) of a page and its alpha (H, W) in [0, 1]; None if 8 bits hold them."""
    formats = read_tag(image, None, SAMPLE_FORMAT, 1) if image.format == "TIFF" else 1
    bits = read_tag(image, None, BITS_PER_SAMPLE, 8) if image.format == "TIFF" else 8
    if image.mode == "F" or image.mode.startswith("I") or (image.mode == "L" and formats == 2):
        key = image.info.get("transparency")
        values = np.asarray(upright(image))
        if image.mode == "L":
            values = values.view(np.int8)
        elif image.mode == "I" and formats == 1 and bits == 32:
            values = values.view(np.uint32)
        alpha = (values != key).astype(float) if isinstance(key, int) else None
        return values.astype(np.float64)[..., None], alpha
    packed = None
    if stream is not None:
        place = stream.tell()
        if image.format == "PNG" and getattr(image, "n_frames", 1) == 1:
            packed = _read_png_of_16_bits(stream)
        elif image.format == "TIFF" and bits == 16:
            packed = _read_tiff_of_16_bits(image, stream)
        stream.seek(place)
    if packed is None:
        return None
    orientation = image.getexif().get(ORIENTATION) if image.format == "PNG" else read_tag(image, None, ORIENTATION, 1)
    values, alpha = _turn(packed, orientation).astype(np.float64), None
    key = image.info.get("transparency")
    if values.shape[2] in (2, 4):
        values, alpha = values[..., :-1], values[..., -1] / MAX_16_BITS
    elif isinstance(key, tuple):
        alpha = (values != key).any(axis=2).astype(float)
    return values, alpha


def loses_bits(image: PIL.Image.Image, stream: BinaryIO) -> bool:
    """Whether an image in color has more than 8 bits for each color, of which Pillow reads the upper 8."""
    if image.mode in ("1", "L", "P", "F") or image.mode.startswith("I"):
        return False
    if image.format == "TIFF":
        return read_tag(image, None, BITS_PER_SAMPLE, 8) > 8
    if image.format not in ("PNG", "PPM"):
        return False
    place = stream.tell()
    stream.seek(0)
    head = stream.read(1024)
    stream.seek(place)
    if image.format == "PNG":
        return head[24] == 16
    numbers = re.findall(rb"\d+", re.sub(rb"#[^\n]*", b"", head)[2:])
    return len(numbers) > 2 and int(numbers[2][:9]) > 255


def read_tag(image: PIL.Image.Image, page: int | None, tag: int, default: int) -> int:
    """A number in the tags of the current page of a TIFF, or of another page."""
    if page is not None:
        image.seek(page)
    value = getattr(image, "tag_v2", {}).get(tag, default)
    value = value[0] if isinstance(value, tuple) else value
    return value if isinstance(value, int) else default


def _turn(values: np.ndarray, orientation: int | None) -> np.ndarray:
    """Turn numbers (H, W, C) as the EXIF tag of a camera says."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values[::-1] if orientation in (3, 4, 7, 8) else values


def _read_png_of_16_bits(stream: BinaryIO) -> np.ndarray | None:
    """The numbers (H, W, C) of a PNG with 16 bits and several channels, of which Pillow reads 8; None for another file.

    A filter of PNG combines the same byte of neighboring pixels. So the bytes of one channel, with the filters of the
    whole, are a grey image, which Pillow reads.

    Raises:
        ValueError: the file is not complete.
    """
    stream.seek(0)
    content = stream.read(29)
    if content[:8] != PNG_SIGNATURE or len(content) < 29:
        return None
    width, height, depth, kind, _, _, is_interlaced = struct.unpack(">IIBBBBB", content[16:])
    if depth != 16 or kind not in PNG_CHANNELS or is_interlaced:
        return None
    stream.seek(8)
    content, packed, place = stream.read(), [], 0
    while place + 8 <= len(content):
        length, name = struct.unpack(">I4s", content[place : place + 8])
        if name == b"IDAT":
            packed.append(content[place + 8 : place + 8 + length])
        place += 12 + length
    channels = PNG_CHANNELS[kind]
    stride = 1 + 2 * channels * width
    try:
        rows = zlib.decompressobj().decompress(b"".join(packed), height * stride)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(rows) != height * stride:
        raise ValueError("image file is truncated")
    lines = np.frombuffer(rows, np.uint8).reshape(height, stride)
    pairs = lines[:, 1:].reshape(height, width, channels, 2)
    planes = [
        np.concatenate([lines[:, :1], pairs[:, :, channel].reshape(height, 2 * width)], axis=1)
        for channel in range(channels)
    ]
    return np.stack([_read_grey_png(width, height, plane.tobytes()) for plane in planes], axis=2)


def _read_tiff_of_16_bits(image: PIL.Image.Image, stream: BinaryIO) -> np.ndarray | None:
    """The numbers (H, W, 3) of a page with 16 bits of red, green and blue, of which Pillow reads 8; None for others.

    The bytes of the page are copied to a file whose tags say that it is a grey image three times as wide, which Pillow
    reads. A file has many pages, so that only those bytes are read.
    """
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    width, height = read_tag(image, None, WIDTH, 0), read_tag(image, None, HEIGHT, 0)
    is_differences = read_tag(image, None, PREDICTOR, 1) == HORIZONTAL_DIFFERENCES
    is_known = (
        image.mode == "RGB"
        and read_tag(image, None, SAMPLES_PER_PIXEL, 1) == 3
        and read_tag(image, None, PLANES, 1) == 1
        and read_tag(image, None, SAMPLE_FORMAT, 1) == 1
        and read_tag(image, None, COMPRESSION, 1) in LOSSLESS
        and not (is_differences and TILE_WIDTH in tags)
        and 3 * width * height <= 2 * (PIL.Image.MAX_IMAGE_PIXELS or MAX_PIXELS)
    )
    size = stream.seek(0, io.SEEK_END)
    place_tag, count_tag = (TILE_PLACES, TILE_COUNTS) if TILE_WIDTH in tags else (STRIP_PLACES, STRIP_COUNTS)
    places, counts = tags.get(place_tag, ()), tags.get(count_tag, (size,))
    if (
        not is_known
        or len(places) != len(counts)
        or not all(isinstance(number, int) and 0 <= number <= size for number in (*places, *counts))
        or sum(counts) > min(size, MAX_BYTES)
    ):
        return None
    body = bytearray()
    copied = {tag: [read_tag(image, None, tag, 0)] for tag in COPIED_TAGS if tag in tags}
    entries = {**copied, WIDTH: [3 * width], place_tag: [], count_tag: [*counts]}
    entries |= {tag: [value] for tag, value in GREY_TAGS.items()}
    if TILE_WIDTH in tags:
        entries[TILE_WIDTH] = [3 * read_tag(image, None, TILE_WIDTH, 0)]
    for place, count in zip(places, counts, strict=True):
        stream.seek(place)
        entries[place_tag].append(8 + len(body))
        body += stream.read(count)
    stream.seek(0)
    order, start = ("<", b"II*\0") if stream.read(2) == b"II" else (">", b"MM\0*")
    page = struct.pack(f"{order}H", len(entries))
    try:
        for tag, values in sorted(entries.items()):
            packed = struct.pack(f"{order}{len(values)}I", *values)
            if len(values) > 1:
                body += packed
                packed = struct.pack(f"{order}I", 8 + len(body) - len(packed))
            page += struct.pack(f"{order}HHI", tag, LONG, len(values)) + packed
    except struct.error:
        return None
    content = start + struct.pack(f"{order}I", 8 + len(body)) + body + page + bytes(4)
    with PIL.Image.open(io.BytesIO(content), formats=("TIFF",)) as grey:
        wide = np.asarray(grey).astype(np.uint16).reshape(height, width, 3)
    return np.cumsum(wide, axis=1, dtype=np.uint16) if is_differences else wide


def _read_grey_png(width: int, height: int, filtered: bytes) -> np.ndarray:
    """The numbers (H, W) of a grey PNG of 16 bits, from its filtered lines."""
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    parts = [PNG_SIGNATURE]
    for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(filtered, 1)), (b"IEND", b"")):
        parts += [struct.pack(">I", len(content)), name, content, struct.pack(">I", zlib.crc32(name + content))]
    with PIL.Image.open(io.BytesIO(b"".join(parts)), formats=("PNG",)) as image:
        return np.asarray(image)
