"""Images of every kind keep what they contain: transparency, 16 bits, signs, fractions and pages; or it is said."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from satae.data import decoding, images
from satae.data.dataset import shuffled_splits
from satae.data.folder import folder
from satae.data.patches import patches

RANDOM = numpy.random.default_rng(0)
COUNT = 10
SIDE = 12
LUMA = numpy.array([0.299, 0.587, 0.114])


def fill(root, *contents, suffix="png"):
    """A folder with files of these contents: bytes, arrays, or images with options of saving."""
    root.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(contents):
        file = root / f"{number:02}.{suffix}"
        if isinstance(content, bytes):
            file.write_bytes(content)
        elif isinstance(content, tuple):
            content[0].save(file, **content[1])
        else:
            Image.fromarray(content).save(file)
    return str(root)


def everything(data):
    """All examples in the order of their first number, (N, C, H, W) in [0, 1]."""
    x = torch.cat([data.batch(split.x) for split in data.splits])
    return x[x.flatten(1)[:, 0].argsort()].numpy()


def numbers(high, low=0, dtype="uint16", count=COUNT, shape=(SIDE, SIDE)):
    """Images whose first pixels are in their order and whose pixels reach from low to high."""
    x = RANDOM.integers(low, high + 1, (count, *shape))
    x.reshape(count, -1)[:, 0] = low + numpy.arange(count) * ((high - low) // count)
    x.reshape(count, -1)[:, 1], x.reshape(count, -1)[:, 2] = low, high
    return x.astype(dtype)


def tiff(values, order="<", kind=1, white=1, compression=1, predictor=1):
    """A TIFF of one strip; Pillow does not write every kind of number."""
    (height, width), channels = values.shape[:2], 1 if values.ndim == 2 else values.shape[2]
    if predictor == 2:
        values = numpy.diff(values, axis=1, prepend=numpy.zeros_like(values[:, :1]))
    body = numpy.ascontiguousarray(values.astype(values.dtype.newbyteorder(order))).tobytes()
    body = zlib.compress(body) if compression == 8 else body
    body += bytes(len(body) % 2)
    bits = struct.pack(f"{order}{channels}H", *[values.itemsize * 8] * channels)
    tags = {256: width, 257: height, 258: values.itemsize * 8, 259: compression, 262: 2 if channels == 3 else white}
    tags |= {273: 8, 277: channels, 278: height, 279: len(body), 317: predictor, 339: kind}
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(body) + len(bits)) + body + bits
    out += struct.pack(f"{order}H", len(tags))
    for tag, value in sorted(tags.items()):
        if tag == 258 and channels == 3:
            out += struct.pack(f"{order}HHII", tag, 3, channels, 8 + len(body))
        elif tag in (256, 257, 273, 278, 279):
            out += struct.pack(f"{order}HHII", tag, 4, 1, value)
        else:
            out += struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
    return out + bytes(4)


def png16(values, chosen_filter=0, interlaced=0):
    """A PNG of 16 bits with 2 to 4 channels; each line is filtered as chosen (0 to 4)."""
    height, width, channels = values.shape
    lines, step = values.astype(">u2").reshape(height, -1).view("uint8").astype(int), 2 * channels
    above = numpy.vstack([numpy.zeros_like(lines[:1]), lines[:-1]])
    left = numpy.hstack([numpy.zeros((height, step), int), lines[:, :-step]])
    corner = numpy.hstack([numpy.zeros((height, step), int), above[:, :-step]])
    base = left + above - corner
    gaps = numpy.stack([abs(base - side) for side in (left, above, corner)])
    paeth = numpy.choose(gaps.argmin(axis=0), [left, above, corner])
    predicted = [0 * lines, left, above, (left + above) // 2, paeth][chosen_filter]
    rows = numpy.hstack([numpy.full((height, 1), chosen_filter), (lines - predicted) % 256]).astype("uint8")
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, interlaced)
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")):
        parts += [struct.pack(">I", len(content)), name, content, struct.pack(">I", zlib.crc32(name + content))]
    return b"".join(parts)


# Transparency


def icons(level, mode="RGBA", **options):
    """Icons whose shape is in their alpha channel."""
    made = []
    for number in range(COUNT):
        x = numpy.full((SIDE, SIDE, 4), level, "uint8")
        x[..., 3] = 0
        x[2 : 4 + number % 7, 3:9, 3] = 255
        made.append((Image.fromarray(x).convert(mode), options))
    return made


def palette_icons(suffix):
    made = []
    for number in range(COUNT):
        x = numpy.zeros((SIDE, SIDE), "uint8")
        x[2 : 4 + number % 7, 3:9] = 1
        image = Image.fromarray(x).convert("P")
        image.putpalette([0, 0, 0, 1, 1, 1])
        made.append((image, {"transparency": 0}))
    return made


def keyed_icons(mode):
    """Icons in which one grey level is transparent."""
    made = []
    for number in range(COUNT):
        x = numpy.full((SIDE, SIDE), 7, "uint8" if mode == "L" else "uint16")
        x[2 : 4 + number % 7, 3:9] = 0
        made.append((Image.fromarray(x), {"transparency": 7}))
    return made


@pytest.mark.parametrize(
    ("make", "suffix"),
    [
        (lambda: icons(0), "png"),
        (lambda: icons(0, "LA"), "png"),
        (lambda: icons(0), "tif"),
        (lambda: icons(0, lossless=True), "webp"),
        (lambda: palette_icons("png"), "png"),
        (lambda: palette_icons("gif"), "gif"),
        (lambda: keyed_icons("L"), "png"),
        (lambda: keyed_icons("I;16"), "png"),
    ],
    ids=["RGBA", "LA", "tiff", "webp", "palette", "gif", "grey key", "16-bit key"],
)
def test_dark_icons_are_drawn_on_white(tmp_path, make, suffix):
    data = folder(path=fill(tmp_path / "in", *make(), suffix=suffix), size=None)
    shapes = {round(float(1 - x.mean()) * SIDE * SIDE) for x in everything(data)}
    assert shapes == {6 * rows for rows in range(2, 9)}
    assert any("10 of 10 images are transparent: they are drawn on white" in note for note in data.notes)


def test_bright_icons_are_drawn_on_black_unless_white_is_chosen(tmp_path):
    path = fill(tmp_path / "in", *icons(200))
    assert everything(folder(path=path, size=None))[:, 0, 0, 0].tolist() == [0.0] * COUNT
    white = folder(path=path, size=None, background="white")
    assert everything(white)[:, 0, 0, 0].tolist() == [1.0] * COUNT
    assert everything(white).min() == pytest.approx(200 / 255)


def test_half_transparent_pixels_are_mixed_with_the_background(tmp_path):
    x = numpy.zeros((COUNT, SIDE, SIDE, 4), "uint8")
    x[..., 3] = numpy.arange(COUNT)[:, None, None] * 20
    found = everything(folder(path=fill(tmp_path / "in", *x), size=None, colour=True))
    assert numpy.allclose(found[:, 0, 0, 0], sorted(1 - numpy.arange(COUNT) * 20 / 255), atol=0.003)


def test_one_background_is_for_all_and_for_the_test(tmp_path):
    path = fill(tmp_path / "in", *icons(0))
    data = folder(path=path, test_path=fill(tmp_path / "out", *icons(255)), size=None, background="auto", valid=0.3)
    assert data.batch(data.test.x).min() == 1


@pytest.mark.parametrize("colour", [False, True])
def test_an_alpha_channel_that_hides_nothing_changes_no_bit(tmp_path, colour):
    x = RANDOM.integers(0, 256, (COUNT, 20, 17, 4)).astype("uint8")
    x[..., 3] = 255
    opaque = folder(path=fill(tmp_path / "a", *x), size=9, colour=colour)
    plain = folder(path=fill(tmp_path / "b", *x[..., :3]), size=9, colour=colour)
    assert torch.equal(opaque.train.x, plain.train.x)
    assert opaque.fingerprint == plain.fingerprint
    assert not [note for note in opaque.notes if "transparent" in note]


def test_patches_are_cut_from_icons_on_white(tmp_path):
    x = numpy.zeros((40, 80, 4), "uint8")
    x[..., 3] = 255 * RANDOM.integers(0, 2, (40, 80))
    path = fill(tmp_path / "in", x)
    assert sorted(patches(path=path, size=3, count=90).train.x.unique().tolist()) == [0, 255]
    with pytest.raises(ValueError, match="every number is 0, so that there is nothing to learn"):
        patches(path=path, size=3, count=90, background="black")


# More than 8 bits, signs and fractions


@pytest.mark.parametrize(
    ("values", "low", "high", "write"),
    [
        (numbers(4000), 0, 4095, None),
        (numbers(1000), 0, 1023, None),
        (numbers(65535), 0, 65535, None),
        (numbers(4000, dtype="int32"), 0, 4095, "tif"),
        (numbers(4095, -1000, "int32"), -1000, 4095, "tif"),
        (numbers(4095, -1000, "int16"), -1000, 4095, lambda x: tiff(x, kind=2)),
        (numbers(4000), 0, 4095, lambda x: tiff(x, ">")),
        (numbers(100, -100, "int8"), -100, 100, lambda x: tiff(x, kind=2)),
        (numbers(4_000_000_000, 7, "uint32"), 7, 4_000_000_000, lambda x: tiff(x)),
        (numbers(10**6, 5, "int32"), 5, 10**6, "tif"),
        ((numbers(1000) / 1000).astype("float32"), 0, 1, "tif"),
        ((numbers(1000) / 100 - 3).astype("float32"), -3, 7, "tif"),
    ],
    ids=["12", "10", "16", "i32", "CT", "i16", "big-endian", "i8", "u32", "millions", "0 to 1", "fractions"],
)
def test_wide_numbers_keep_their_levels_on_one_scale(tmp_path, values, low, high, write):
    contents = [write(x) for x in values] if callable(write) else list(values)
    data = folder(path=fill(tmp_path / "in", *contents, suffix="tif" if write else "png"), size=None)
    assert data.train.x.dtype == torch.float32
    assert (data.span, data.scale) == ((0.0, 1.0), 1)
    wanted = (values.astype(float) - low) / (high - low)
    numpy.testing.assert_allclose(everything(data)[:, 0], wanted, atol=1e-6)
    assert any(f"{low:g} becomes 0 and {high:g} becomes 1" in note for note in data.notes)


@pytest.mark.parametrize("step", [1, 256, 257])
def test_eight_bits_saved_as_sixteen_stay_eight(tmp_path, step):
    values = numbers(255, dtype="uint8")
    wide = folder(path=fill(tmp_path / "in", *values.astype("uint16") * step), size=None)
    plain = folder(path=fill(tmp_path / "plain", *values), size=None)
    assert torch.equal(wide.train.x, plain.train.x)


def test_black_and_white_can_be_the_other_way_round(tmp_path):
    values = numbers(4095)
    path = fill(tmp_path / "in", *[tiff(x, white=0) for x in values], suffix="tif")
    numpy.testing.assert_allclose(everything(folder(path=path, size=None))[::-1, 0], 1 - values / 4095, atol=1e-6)


def test_files_of_8_and_of_12_bits_share_one_scale(tmp_path):
    values = numbers(4095)
    path = fill(tmp_path / "in", *[x if number % 2 else (x // 16).astype("uint8") for number, x in enumerate(values)])
    data = folder(path=path, size=None)
    numpy.testing.assert_allclose(everything(data)[:, 0], values / 4095, atol=1 / 250)
    assert any("5 of 10 images are not of 8 bits" in note and "255 becomes 1" in note for note in data.notes)


def test_a_test_folder_has_the_scale_of_training(tmp_path):
    train, test = numbers(4095), numbers(1000)
    data = folder(path=fill(tmp_path / "in", *train), test_path=fill(tmp_path / "out", *test), size=None, valid=0.3)
    numpy.testing.assert_allclose(data.test.x[:, 0].numpy(), test / 4095, atol=1e-6)


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("chosen_filter", range(5))
def test_png_of_16_bits_and_several_channels(tmp_path, channels, chosen_filter):
    values = numbers(4095, shape=(SIDE, SIDE, channels))
    if channels != 3:
        values[..., -1] = 65535
    path = fill(tmp_path / "in", *[png16(x, chosen_filter) for x in values])
    wanted = values[..., :3] if channels > 2 else values[..., :1].repeat(3, axis=3)
    found = everything(folder(path=path, size=None, colour=True))
    numpy.testing.assert_allclose(found, wanted.transpose(0, 3, 1, 2) / 4095, atol=1e-6)
    if channels > 2:
        order = (wanted[:, 0, 0] @ LUMA).argsort()
        numpy.testing.assert_allclose(
            everything(folder(path=path, size=None))[:, 0], (wanted @ LUMA)[order] / 4095, atol=1e-6
        )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("compression", [1, 8])
def test_tiff_of_16_bits_in_color(tmp_path, order, predictor, compression):
    values = numbers(4095, shape=(SIDE, SIDE, 3))
    files = [tiff(x, order, compression=compression, predictor=predictor if compression == 8 else 1) for x in values]
    data = folder(path=fill(tmp_path / "in", *files, suffix="tif"), size=None, colour=True)
    numpy.testing.assert_allclose(everything(data), values.transpose(0, 3, 1, 2) / 4095, atol=1e-6)
    assert not [note for note in data.notes if "more than 8 bits for each color" in note]


def test_transparency_of_16_bits_is_drawn_on_the_background(tmp_path):
    values = numpy.zeros((COUNT, SIDE, SIDE, 2), "uint16")
    values[:, 0, 0, 0] = 4095
    values[..., 1] = (numpy.arange(COUNT) * 6553)[:, None, None]
    data = folder(path=fill(tmp_path / "in", *[png16(x) for x in values]), size=None)
    numpy.testing.assert_allclose(
        sorted(everything(data)[:, 0, 5, 5]), 1 - numpy.arange(COUNT)[::-1] * 6553 / 65535, atol=1e-6
    )


@pytest.mark.parametrize("maxval", [100, 255, 1023, 65535])
def test_portable_grey_maps(tmp_path, maxval):
    values = numbers(maxval)
    kind = ">u2" if maxval > 255 else "u1"
    files = [b"P5\n# 12 12\n%d %d\n%d\n" % (SIDE, SIDE, maxval) + x.astype(kind).tobytes() for x in values]
    found = everything(folder(path=fill(tmp_path / "in", *files, suffix="pgm"), size=None))
    numpy.testing.assert_allclose(found[:, 0], values / maxval, atol=2e-5 if maxval > 255 else 3e-3)


def test_color_of_more_than_8_bits_that_is_reduced_is_reported(tmp_path):
    values = numbers(1023, shape=(SIDE, SIDE, 3))
    files = [b"P6\n%d %d\n1023\n" % (SIDE, SIDE) + x.astype(">u2").tobytes() for x in values]
    data = folder(path=fill(tmp_path / "in", *files, suffix="ppm"), size=None, colour=True)
    numpy.testing.assert_allclose(everything(data), values.transpose(0, 3, 1, 2) / 1023, atol=1 / 250)
    assert any("10 of 10 images have more than 8 bits for each color" in note for note in data.notes)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_one_bit(tmp_path, suffix):
    values = RANDOM.integers(0, 2, (COUNT, SIDE, SIDE)).astype(bool)
    data = folder(path=fill(tmp_path / "in", *values, suffix=suffix), size=None)
    assert sorted(x.sum() for x in everything(data)) == sorted(x.sum() for x in values)
    assert data.train.x.dtype == torch.uint8


def test_scaled_wide_images_are_those_of_8_bits_with_more_levels(tmp_path):
    values = numbers(255, dtype="uint8", shape=(20, 30))
    wide = values.astype("uint16") * 257
    wide[0, 0, 0] += 1  # so that 8 bits would lose something
    found = everything(folder(path=fill(tmp_path / "in", *wide), size=7))
    plain = everything(folder(path=fill(tmp_path / "plain", *values), size=7))
    numpy.testing.assert_allclose(numpy.sort(found, axis=0), numpy.sort(plain, axis=0), atol=0.02)


def test_a_fill_value_in_images_is_named(tmp_path):
    values = RANDOM.random((COUNT, SIDE, SIDE)).astype("float32")
    values[3, 2, 2] = -9999
    data = folder(path=fill(tmp_path / "in", *values, suffix="tif"))
    assert any("03.tif: holds -9999: a fill value?" in note for note in data.notes)


@pytest.mark.parametrize("value", [65535, 32767])
def test_a_fill_value_in_images_of_16_bits_is_named(tmp_path, value):
    values = numbers(4095)
    values[3, 2, 2] = values[5, 0, 0] = values[5, 0, 1] = value
    [note] = [note for note in folder(path=fill(tmp_path / "in", *values)).notes if "fill value" in note]
    assert (
        f"03.png: holds {value}, as 1 more file does: a fill value? All others, from 0 to 4095, are scaled by it"
        in note
    )


def test_the_ends_of_16_bits_are_no_fill_values_where_they_are_used(tmp_path):
    line_art = 65535 * RANDOM.integers(0, 2, (COUNT, SIDE, SIDE)).astype("uint16")
    line_art[0, 0, 0] = 257
    for number, values in enumerate((numbers(65535), 65535 * (numbers(1)), line_art)):
        assert "fill value" not in str(folder(path=fill(tmp_path / str(number), *values)).notes)


@pytest.mark.parametrize("wrong", [numpy.nan, numpy.inf])
def test_images_that_are_not_finite_are_refused(tmp_path, wrong):
    values = RANDOM.random((COUNT, SIDE, SIDE)).astype("float32")
    values[3, 2, 2] = wrong
    with pytest.raises(ValueError, match=r"03\.tif: .*not finite"):
        folder(path=fill(tmp_path / "in", *values, suffix="tif"))


def test_patches_of_12_bits(tmp_path):
    values = numbers(4095, count=2, shape=(40, 80))
    data = patches(path=fill(tmp_path / "in", *values), size=3, count=300)
    assert len(data.train.x.unique()) > 500
    assert data.batch(data.train.x).std().item() == pytest.approx(1, abs=0.01)
    low, high = data.span
    assert data.batch(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([low, high])


# Pages and frames


def pages(root, files, count, suffix, first=0, **options):
    root.mkdir(parents=True, exist_ok=True)
    for file in range(files):
        made = [
            Image.fromarray(numpy.full((SIDE, SIDE), first + file * count + page, "uint8")) for page in range(count)
        ]
        made[0].save(root / f"{file:02}.{suffix}", save_all=True, append_images=made[1:], **options)
    return str(root)


def file_of(split, count):
    return {level // count for level in (split.x.flatten(1)[:, 0]).tolist()}


@pytest.mark.parametrize("suffix", ["tif", "gif", "png", "webp"])
def test_every_page_is_read_and_those_of_one_file_stay_together(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    data = folder(path=pages(tmp_path / "in", 8, 7, suffix, **options), size=None)
    levels = sorted(level for split in data.splits for level in (split.x.flatten(1)[:, 0]).tolist())
    assert numpy.allclose(levels, range(56), atol=1 if suffix == "webp" else 0)
    assert len(data.train.x) > max(len(data.valid.x), len(data.test.x)) >= 7
    train, valid, test = (file_of(split, 7) for split in data.splits)
    assert not (train | valid) & test
    assert not train & valid
    assert any("8 of 8 files hold several pages or frames: each is an image, 56 in all" in note for note in data.notes)
    assert any("pages of one file stay in one split" in note for note in data.notes)


def test_the_pages_of_a_single_file_are_divided_in_their_order_and_it_is_said(tmp_path):
    data = folder(path=pages(tmp_path / "in", 1, 20, "tif"), size=None)
    assert [sorted(split.x.flatten(1)[:, 0].tolist()) for split in data.splits] == [
        list(range(14)),
        [14, 15, 16],
        [17, 18, 19],
    ]
    assert any("fewer than 3 files" in note for note in data.notes)


def test_labels_stay_with_the_pages(tmp_path):
    pages(tmp_path / "in" / "a", 6, 3, "tif")
    pages(tmp_path / "in" / "b", 6, 3, "tif", first=100)
    for split in folder(path=str(tmp_path / "in"), size=None).splits:
        assert torch.equal(split.y, (split.x[:, 0, 0, 0] >= 100).long())


def test_pages_are_read_from_the_cache_with_what_was_said(tmp_path):
    path = pages(tmp_path / "in", 5, 3, "tif")
    first, again = folder(path=path), folder(path=path)
    assert torch.equal(first.train.x, again.train.x)
    assert first.notes == again.notes != ()


def color_tiff(pages, strips=2, tile=0, orientation=1):
    """An uncompressed TIFF with pages (H, W, 3) of 16 bits, in strips or in tiles; Pillow does not write them."""
    content, link = bytearray(b"II*\0" + bytes(4)), 4
    for page in pages.astype("<u2"):
        (height, width), cut = page.shape[:2], tile or len(page) // strips
        parts = [page[row : row + cut] for row in range(0, height, cut)]
        if tile:
            parts = [part[:, column : column + tile] for part in parts for column in range(0, width, tile)]
            parts = [numpy.pad(part, [(0, tile - part.shape[0]), (0, tile - part.shape[1]), (0, 0)]) for part in parts]
        places = []
        for part in parts:
            places.append(len(content))
            content += part.tobytes()
        tags = {256: [width], 257: [height], 258: [16] * 3, 259: [1], 262: [2], 274: [orientation], 277: [3]}
        tags |= {322: [tile], 323: [tile]} if tile else {278: [cut]}
        tags |= {324 if tile else 273: places, 325 if tile else 279: [part.nbytes for part in parts]}
        entries = b""
        for tag, values in sorted(tags.items()):
            packed = struct.pack(f"<{len(values)}I", *values)
            if len(values) > 1:
                packed, content = struct.pack("<I", len(content)), content + packed
            entries += struct.pack("<HHI", tag, 4, len(values)) + packed
        struct.pack_into("<I", content, link, len(content))
        content += struct.pack("<H", len(tags)) + entries + bytes(4)
        link = len(content) - 4
    return bytes(content)


@pytest.mark.parametrize("layout", [{}, {"strips": 1}, {"tile": 16}], ids=["strips", "strip", "tiles"])
@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (6, 3), (8, 1)])
def test_tiff_pages_of_16_bits_in_color_are_read_in_every_layout(tmp_path, layout, orientation, turns):
    values = numbers(4095, shape=(SIDE, 2 * SIDE, 3))
    path = fill(tmp_path / "in", color_tiff(values, orientation=orientation, **layout), suffix="tif")
    data = folder(path=path, size=None, colour=True)
    found = torch.cat([data.batch(split.x) for split in data.splits]).numpy()
    wanted = numpy.rot90(values, turns, axes=(1, 2)).transpose(0, 3, 1, 2) / 4095
    numpy.testing.assert_allclose(numpy.sort(found, axis=0), numpy.sort(wanted, axis=0), atol=1e-6)


class CountedFile(io.BytesIO):
    opened, read_bytes = 0, 0

    def __init__(self, content):
        super().__init__(content)
        CountedFile.opened += 1

    def read(self, size=-1):
        content = super().read(size)
        CountedFile.read_bytes += len(content)
        return content


@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "gif"])
def test_the_work_for_a_page_does_not_grow_with_the_number_of_pages(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(images, "IMAGES_PER_WRITE", 4)
    monkeypatch.setattr("PIL.ImageFile.MAXBLOCK", 512)  # bytes that Pillow reads at once

    def work(count):
        if kind == "16 bits":
            content = color_tiff(numbers(4095, count=count, shape=(SIDE, SIDE, 3)))
        else:
            suffix = "gif" if kind == "gif" else "tif"
            content = Path(pages(tmp_path / str(count), 1, count, suffix), f"00.{suffix}").read_bytes()
        monkeypatch.setattr(CountedFile, "opened", 0)
        monkeypatch.setattr(CountedFile, "read_bytes", 0)
        file = images.ImageFile("a", lambda: CountedFile(content))
        found = images.survey([file], "auto", size=None, colour=True)
        assert len([*images.decode([file], found, size=None, colour=True)]) == count
        return CountedFile.opened, CountedFile.read_bytes / count

    (few_opened, few), (many_opened, many) = work(20), work(80)
    assert few_opened == many_opened == 2
    assert many < 1.2 * few


def test_files_of_many_pages_and_of_one_are_decoded_in_their_order(monkeypatch):
    monkeypatch.setattr(images, "IMAGES_PER_WRITE", 4)
    counts = [1, 2, 6, 1, 1, 1, 1, 1, 7, 9, 1]

    def image(number):
        made = [Image.new("L", (2, 2), 20 * number + page) for page in range(counts[number])]
        made[0].save(content := io.BytesIO(), "TIFF", save_all=True, append_images=made[1:])
        return images.ImageFile(str(number), lambda: io.BytesIO(content.getvalue()))

    files = [image(number) for number in range(len(counts))]
    found = images.survey(files, "auto", size=None, colour=False)
    decoded = [(number, int(x[0, 0, 0])) for number, x in images.decode(files, found, size=None, colour=False)]
    assert decoded == [(number, 20 * number + page) for number, count in enumerate(counts) for page in range(count)]


def test_a_tiff_of_too_many_pages_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "MAX_PAGES", 20)
    assert folder(path=pages(tmp_path / "in", 1, 20, "tif")).notes
    with pytest.raises(ValueError, match=r"00\.tif: .*more than 20 pages; divide it into several files"):
        folder(path=pages(tmp_path / "in", 1, 21, "tif"))


def cut_anywhere(content, number=60):
    return [content[:end] for end in range(20, len(content) - 1, -(-len(content) // number))]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["tif", "gif", "webp", "png", "packed", "color"])
def test_a_file_of_several_pages_that_is_cut_is_refused_or_read_whole(tmp_path, kind):
    options = {"webp": {"lossless": True}, "packed": {"compression": "tiff_lzw"}}.get(kind, {})
    suffix = {"packed": "tif"}.get(kind, kind)
    if kind == "color":
        content = color_tiff(numbers(4095, count=5, shape=(SIDE, SIDE, 3)))
    else:
        content = Path(pages(tmp_path / "in", 1, 5, suffix, first=40, **options), f"00.{suffix}").read_bytes()
    for part in cut_anywhere(content):
        file = images.ImageFile("a", lambda part=part: io.BytesIO(part))
        try:
            found = images.survey([file], "auto", size=None, colour=True)
            count = len([*images.decode([file], found, size=None, colour=True)])
        except ValueError as refusal:
            assert str(refusal).startswith("a: cannot be read as an image (")  # noqa: PT017
        else:
            assert count == 5, len(part)


def test_previews_are_left_out_and_counted(tmp_path):
    photographs = [Image.fromarray(x) for x in numbers(255, dtype="uint8", shape=(SIDE, SIDE, 3))]
    contents = [(one, {"format": "MPO", "save_all": True, "append_images": [one]}) for one in photographs]
    data = folder(path=fill(tmp_path / "in", *contents, suffix="jpg"))
    assert sum(len(split.x) for split in data.splits) == COUNT
    assert any("10 previews or masks inside the files are left out" in note for note in data.notes)


def test_pages_in_lower_resolution_are_left_out(tmp_path):
    for number, x in enumerate(numbers(255, dtype="uint8")):
        (tmp_path / "in").mkdir(exist_ok=True)
        large, small = Image.fromarray(x), Image.fromarray(x[::2, ::2])
        small.encoderinfo = {"tiffinfo": {254: 1}}
        large.save(tmp_path / "in" / f"{number}.tif", save_all=True, append_images=[small])
    data = folder(path=str(tmp_path / "in"), size=None)
    assert data.shape == (1, SIDE, SIDE)
    assert sum(len(split.x) for split in data.splits) == COUNT


def test_photographs_of_several_pages_are_all_cut(tmp_path):
    (tmp_path / "in").mkdir()
    made = [Image.fromarray(numpy.full((40, 80), 10 * page, "uint8")) for page in range(5)]
    made[0].save(tmp_path / "in" / "a.tif", save_all=True, append_images=made[1:])
    assert patches(path=str(tmp_path / "in"), size=3, count=300).train.x.unique().tolist() == [0, 10, 20, 30, 40]


@pytest.mark.parametrize("counts", [[1, 1, 1], [50, 1, 1, 1], [5] * 20, [1, 30, 2, 2]])
@pytest.mark.parametrize("seed", range(4))
def test_groups_are_never_divided_and_no_split_is_empty(counts, seed):
    from satae.data.dataset import Split

    groups = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    pool = Split(torch.arange(len(groups))[:, None].float(), groups)
    if len(groups) < 4:
        return
    splits = shuffled_splits(pool, valid=0.2, test=0.2, seed=seed, groups=groups)
    found = [set(split.y.tolist()) for split in splits]
    assert sorted(group for some in found for group in some) == list(range(len(counts)))
    assert min(map(len, found)) >= 1
    assert sum(len(split.x) for split in splits) == len(groups)


# Size


def bomb(side):
    """A small file with a large image, as one channel of zeros."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(1)
    body = packer.compress(bytes(1 + side)) + packer.flush()
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, content in ((b"IHDR", header), (b"IDAT", body), (b"IEND", b"")):
        parts += [struct.pack(">I", len(content)), name, content, struct.pack(">I", zlib.crc32(name + content))]
    return b"".join(parts)


@pytest.mark.parametrize("side", [8193, 13_000, 100_000])
@pytest.mark.parametrize("source", [folder, patches])
def test_an_image_with_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, side, source):
    path = fill(tmp_path / "in", bomb(side))
    with pytest.raises(ValueError, match=r"00\.png: .*pixels") as refusal:
        source(path=path)
    assert "remove it" in str(refusal.value)


def test_only_so_many_pixels_are_decoded_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "PIXELS_AT_ONCE", 2 * SIDE * SIDE)
    at_work, most, truly = [], [], images.to_pixels

    def counted(*given):
        at_work.append(1)
        most.append(len(at_work))
        pixels = truly(*given)
        at_work.pop()
        return pixels

    monkeypatch.setattr(images, "to_pixels", counted)
    folder(path=fill(tmp_path / "in", *numbers(255, dtype="uint8", count=40)), size=None)
    assert len(most) == 40
    assert max(most) <= 2


# Names, and what else is said


def test_names_that_are_not_utf_8_are_read(tmp_path):
    for number, x in enumerate(numbers(255, dtype="uint8")):
        place = os.fsencode(tmp_path) + b"/in/c\xff%d" % (number % 2)
        os.makedirs(place, exist_ok=True)
        with open(place + b"/ph\xff%d.png" % number, "wb") as file:
            Image.fromarray(x).save(file, format="png")
    data = folder(path=str(tmp_path / "in"))
    assert sum(len(split.x) for split in data.splits) == COUNT
    assert data.train.y.unique().tolist() == [0, 1]


def test_a_folder_whose_name_is_not_utf_8_is_refused(tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/in\xff")
    os.mkdir(name)
    with pytest.raises(ValueError, match="is not UTF-8; rename it"):
        folder(path=name)


def test_color_that_is_dropped_and_margins_that_are_cut_are_said(tmp_path):
    path = fill(tmp_path / "in", *numbers(255, dtype="uint8", shape=(10, 30, 3)))
    grey, colour = folder(path=path, size=8), folder(path=path, size=None, colour=True)
    assert any("10 of 10 images are saved in color and become grey" in note for note in grey.notes)
    assert grey.notes[1:] == (
        "of 10 images that become 8x8 (data.size), 10 are shrunk, the largest from 30x10; 10 are not square: their"
        " middle is read, 33% of all pixels",
    )
    assert colour.notes == ()


def test_images_that_are_enlarged_are_counted_in_one_line_with_those_that_are_shrunk(tmp_path):
    values = [numbers(255, dtype="uint8", shape=(side, side), count=3) for side in (4, 6, 8, 9)]
    notes = folder(path=fill(tmp_path / "in", *(x for part in values for x in part)), size=8).notes
    assert notes == (
        "of 12 images that become 8x8 (data.size), 6 are enlarged, the smallest from 4x4; 3 are shrunk, the largest"
        " from 9x9",
    )


def test_images_of_the_wanted_size_are_not_remarked_on(tmp_path):
    assert folder(path=fill(tmp_path / "in", *numbers(255, dtype="uint8", shape=(8, 8))), size=8).notes == ()


def test_images_that_are_turned_or_change_their_color_space_are_counted(tmp_path):
    path = Path(fill(tmp_path / "in", *numbers(255, dtype="uint8", shape=(8, 8, 3))))
    turned, plain, print_colors = (Image.new("RGB", (8, 8), (1, 2, number)) for number in range(3))
    for orientation, image in ((6, turned), (1, plain)):
        image.getexif()[274] = orientation
        image.save(path / f"orientation_{orientation}.jpg", exif=image.getexif())
    print_colors.convert("CMYK").save(path / "cmyk.jpg")
    assert folder(path=str(path), size=8, colour=True).notes == (
        "1 of 13 images are turned or mirrored, as their EXIF data say",
        "1 of 13 images are saved as CMYK: they become RGB without their color profile",
    )


def test_plain_images_say_nothing_and_keep_their_bits(tmp_path):
    values = numbers(255, dtype="uint8")
    data = folder(path=fill(tmp_path / "in", *values), size=None)
    assert data.notes == ()
    assert (data.train.x.dtype, data.span, data.scale) == (torch.uint8, (0.0, 1.0), 1 / 255)
    assert numpy.array_equal(everything(data)[:, 0], (torch.from_numpy(values) * (1 / 255)).numpy())


def test_a_page_that_is_not_complete_is_named():
    content = png16(numbers(4095, count=1, shape=(SIDE, SIDE, 3))[0])
    whole = images.ImageFile("a.png", lambda: io.BytesIO(content))
    assert images.survey([whole], "auto", size=None, colour=True).rendering == decoding.Rendering(
        None, (0.0, 4095.0), fractions=True
    )
    cut = images.ImageFile("a.png", lambda: io.BytesIO(content[:200]))
    with pytest.raises(ValueError, match=r"a\.png: cannot be read as an image"):
        images.survey([cut], "auto", size=None, colour=True)
