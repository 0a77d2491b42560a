"""Reads the numbers of images that 8 bits cannot hold, those too of which Pillow reads 8 bits."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import BinaryIO, Final

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
COMPRESSION: Final = 259
LOSSLESS: Final = (1, 5, 8, 32773, 32946)  # none, LZW, deflate, PackBits, deflate
SAMPLES_PER_PIXEL: Final = 277
PLANES: Final = 284
PREDICTOR: Final = 317
HORIZONTAL_DIFFERENCES: Final = 2
TILE_WIDTH: Final = 322
SHORT: Final = 3  # types of tags
LONG: Final = 4
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

    In a copy of the file, the tags of the page say that it is a grey image three times as wide, which Pillow reads.
    """
    width, height = image.size
    is_differences = read_tag(image, None, PREDICTOR, 1) == HORIZONTAL_DIFFERENCES
    is_known = (
        image.mode == "RGB"
        and read_tag(image, None, SAMPLES_PER_PIXEL, 1) == 3
        and read_tag(image, None, PLANES, 1) == 1
        and read_tag(image, None, SAMPLE_FORMAT, 1) == 1
        and read_tag(image, None, COMPRESSION, 1) in LOSSLESS
        and not (is_differences and read_tag(image, None, TILE_WIDTH, 0))
        and 3 * width * height <= 2 * (PIL.Image.MAX_IMAGE_PIXELS or MAX_PIXELS)
    )
    stream.seek(0)
    content = bytearray(stream.read()) if is_known else bytearray()
    order = "<" if content[:2] == b"II" else ">"
    if len(content) < 8 or struct.unpack_from(f"{order}H", content, 2)[0] != 42:  # 43 is BigTIFF
        return None
    try:
        (place,) = struct.unpack_from(f"{order}I", content, 4)
        for _ in range(image.tell()):
            (count,) = struct.unpack_from(f"{order}H", content, place)
            (place,) = struct.unpack_from(f"{order}I", content, place + 2 + 12 * count)
        (count,) = struct.unpack_from(f"{order}H", content, place)
        for entry in range(place + 2, place + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", content, entry)
            if tag in GREY_TAGS:
                struct.pack_into(f"{order}HHIHH", content, entry, tag, SHORT, 1, GREY_TAGS[tag], 0)
            elif tag in (WIDTH, TILE_WIDTH):
                (value,) = struct.unpack_from(f"{order}{'H' if kind == SHORT else 'I'}", content, entry + 8)
                struct.pack_into(f"{order}HHII", content, entry, tag, LONG, 1, 3 * value)
        struct.pack_into(f"{order}I", content, place + 2 + 12 * count, 0)  # no further page
        struct.pack_into(f"{order}I", content, 4, place)
    except struct.error:
        return None
    with PIL.Image.open(io.BytesIO(content), formats=("TIFF",)) as grey:
        values = np.asarray(grey).astype(np.uint16).reshape(height, width, 3)
    return np.cumsum(values, axis=1, dtype=np.uint16) if is_differences else values


def _read_grey_png(width: int, height: int, filtered: bytes) -> np.ndarray:
    """The numbers (H, W) of a grey PNG of 16 bits, from its filtered lines."""
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    parts = [PNG_SIGNATURE]
    for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(filtered, 1)), (b"IEND", b"")):
        parts += [struct.pack(">I", len(content)), name, content, struct.pack(">I", zlib.crc32(name + content))]
    with PIL.Image.open(io.BytesIO(b"".join(parts)), formats=("PNG",)) as image:
        return np.asarray(image)
