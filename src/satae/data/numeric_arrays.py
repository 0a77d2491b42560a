"""Arrays of numbers: stored without losing what distinguishes them, and checked for fill values."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from satae.config.option_types import SINGLE_PRECISION
from satae.data.dataset import ColumnRanges, OnDisk, Stored, as_stored, chunk
from satae.messages import count_words

CHANNEL_COUNTS: Final = (1, 2, 3, 4)  # lengths by which an axis of channels is recognized
SAMPLE_NUMBERS: Final = 2**20  # numbers of a file that are compared with each other
SAMPLE_EXAMPLES: Final = 4096
LOST_SHARE: Final = 0.05  # of distinct numbers: one that float32 loses by chance is below it
DIFFERENT_RANGES: Final = 10  # ranges of columns that differ by a larger factor have no unit in common
DARK: Final = 32  # images of 8 bits without a number as large use less than five bits
FAR: Final = 1000  # times the range of the others: the distance of a suspicious number
MAX_NAMED: Final = 3  # columns in a message
LEVELS_WITHOUT_CODE: Final = 3  # distinct numbers: a column of fewer is one of levels
FILL_VALUES: Final = (32767, 32768, 65535, 2**31 - 1, 2**31, 999.9, 999.25, 9999.9, 99999.9)
SHORT_CODES: Final = (-1.0, -9.0, -99.0)  # for a missing number, where all others are positive, or far from them
LARGE_FILL_VALUE: Final = 1e15  # as 1e20, 9.97e36 (netCDF) and the largest numbers of a type
REMEDIES: Final = {
    "i": "x.astype('float64') for numbers such as counts or times",
    "u": "x.astype('float64') for numbers such as counts",
    "b": "x.astype('float32')",
    "c": "numpy.concatenate([x.real, x.imag], axis=1)",
    "M": "(x - x.min()) / numpy.timedelta64(1, 's')",
    "m": "x / numpy.timedelta64(1, 's')",
    "V": "numpy.lib.recfunctions.structured_to_unstructured(x)",
}

Layout = Literal["auto", "channels_first", "channels_last"]


def to_examples(where: str, values: np.ndarray, layout: Layout = "auto", center: np.ndarray | None = None) -> Stored:
    """Convert an array to examples as they are stored, with the channels of images first.

    Args:
        where: the origin of the array, for messages.
        values: the array.
        layout: the place of the channels; ``"auto"`` takes the axis of length 1 to 4.
        center: subtracted before the numbers become float32; see :func:`find_center`.

    Raises:
        ValueError: the array has another type or shape, or a number that float32 cannot hold.
    """
    shape, kind = values.shape, values.dtype
    if kind != np.uint8 and kind.kind != "f":
        remedy = REMEDIES.get(kind.kind, "x.astype('float32')")
        raise ValueError(
            f"{where}: holds {kind}; must be floating-point, {remedy}, or uint8, x.astype('uint8') of"
            " brightness from 0 to 255"
        )
    if 0 in shape:
        raise ValueError(f"{where}: is empty, of shape {shape}")
    if len(shape) not in (2, 3, 4):
        raise ValueError(f"{where}: has shape {shape}; must be (N, D), (N, H, W), (N, H, W, C) or (N, C, H, W)")
    axes = tuple(range(len(shape)))
    if len(shape) == 3:
        shape, axes = (shape[0], 1, *shape[1:]), (0, 1, 2, 3)
    elif len(shape) == 4:
        first, last = shape[1] in CHANNEL_COUNTS, shape[3] in CHANNEL_COUNTS
        if layout == "auto" and first == last:
            raise ValueError(
                f"{where}: has shape {shape}, in which the axis of the channels is not clear; choose"
                " layout=channels_first or layout=channels_last"
            )
        if {"auto": last, "channels_first": False, "channels_last": True}[layout]:
            axes = (0, 3, 1, 2)
    if isinstance(values, np.memmap):
        return replace(OnDisk.of(values), row=shape[1:], axes=axes, center=center)
    stored = as_stored((values if center is None else values - center).reshape(shape).transpose(axes))
    if kind != np.uint8 and kind.itemsize != 4 and not stored.isfinite().all():
        _refuse_first(where, stored, values.reshape(shape).transpose(axes))
    return stored


def _refuse_first(where: str, stored: Tensor, values: np.ndarray) -> None:
    """Refuse the first number that is not finite as float32, by what it is in the user's file.

    Raises:
        ValueError: always.
    """
    row = int((~stored.isfinite()).flatten(1).any(dim=1).long().argmax())
    element = int((~stored[row].isfinite()).flatten().long().argmax())
    raise ValueError(_not_finite(where, row, element, stored.shape[1:], values[row].reshape(-1)[element]))


def _not_finite(where: str, row: int, element: int, shape: Sequence[int], value: Any) -> str:
    place = f"{where}: example {row}, {_element(element, shape)} holds {value:g}"
    if np.isfinite(value):
        return f"{place}, too large for float32; divide by a suitable unit"
    limit = " (float16 ends at 65504: save as float32)" if value.dtype == np.float16 and np.isinf(value) else ""
    return f"{place}, not a finite number{limit}; fix or remove it"


def _element(number: int, shape: Sequence[int]) -> str:
    """The place of an element of an example: ``"column 2"``, or ``"row 1, column 2"`` of an image."""
    *_, height, width = (1, *shape)
    if len(shape) < 3:
        return f"column {number}"
    channel = f"channel {number // (height * width)}, " if shape[0] > 1 else ""
    return f"{channel}row {number // width % height}, column {number % width}"


class Center(NamedTuple):
    """An offset that is subtracted from numbers before they become float32, and lines that say what is lost."""

    values: np.ndarray | None  # (D,), or () for images; None: nothing
    notes: list[str]


def find_center(where: str, values: np.ndarray) -> Center:
    """Find out what must be subtracted from numbers, so that float32 can distinguish them.

    Numbers such as times, 1.7e9 and some seconds, have one value in float32. The numbers are compared in two samples:
    the first examples and evenly spaced ones.

    Args:
        where: the origin of the array, for messages.
        values: the examples to train on, (N, D) or images.

    Raises:
        ValueError: float32 can distinguish none of them.
    """
    if values.dtype.kind != "f" or values.dtype.itemsize <= 4 or values.ndim < 2 or 0 in values.shape:
        return Center(None, [])
    samples = _take_samples(values)
    center, notes = None, list[str]()
    for table in samples:
        if not np.isfinite(table).all():
            return Center(None, [])  # refused later, by name
        center = _center_columns(table, center)
    if center is None:
        return Center(None, [])
    table = samples[0]
    distinct = _count_distinct(table)
    before, after = _count_distinct(table.astype(np.float32)), _count_distinct((table - center).astype(np.float32))
    if (after == 1).all() and distinct.max() > 1:
        raise ValueError(
            f"{where}: float32 cannot distinguish its numbers, such as {table[0, 0]:g}: multiply all by a suitable unit"
        )
    subject = [f"column {column}" for column in range(len(center))] if values.ndim == 2 else ["the numbers"]
    named = [number for number in range(len(center)) if center[number] != 0]
    for number in named[:MAX_NAMED]:
        notes.append(
            f"{where}: {center[number]:.10g} is subtracted from {subject[number]}, of which float32 would keep"
            f" {before[number]} of {distinct[number]} distinct numbers"
        )
    if len(named) > MAX_NAMED:
        notes.append(f"{where}: so it is done with {len(named) - MAX_NAMED} more columns")
    lost = np.flatnonzero(after < (1 - LOST_SHARE) * distinct)
    for number in lost[:MAX_NAMED].tolist():
        notes.append(
            f"{where}: float32 keeps {after[number]} of {distinct[number]} distinct numbers in {subject[number]};"
            " rescale it, or divide it into several columns"
        )
    if values.ndim > 2:
        center = center[0]
    return Center(center if np.any(center != 0) else None, notes)


def _take_samples(values: np.ndarray) -> list[np.ndarray]:
    """The first and some evenly spaced examples, a few thousand numbers for each column; images are one column."""
    rows = min(SAMPLE_EXAMPLES, max(64, SAMPLE_NUMBERS // math.prod(values.shape[1:])))
    samples = list[np.ndarray]()
    for sample in (values[:rows], values[:: -(-len(values) // rows)]):
        table = np.asarray(sample, sample.dtype.newbyteorder("="))
        if values.ndim > 2:
            table = table.reshape(-1, 1)
            # of more numbers, float32 loses some by chance
            table = table[:SAMPLE_EXAMPLES] if not samples else table[:: -(-len(table) // SAMPLE_EXAMPLES)]
        samples.append(table)
    return samples


def _center_columns(table: np.ndarray, known: np.ndarray | None) -> np.ndarray | None:
    """A center for each column of which float32 loses distinct numbers; None if it loses none in any column."""
    with np.errstate(over="ignore"):
        narrow = table.astype(np.float32)
    suspects = np.flatnonzero(np.isfinite(narrow).all(axis=0))
    distinct = _count_distinct(table[:, suspects])
    losing = suspects[_count_distinct(narrow[:, suspects]) < (1 - LOST_SHARE) * distinct]
    if not len(losing):
        return known
    center = np.zeros(table.shape[1], table.dtype) if known is None else known
    middle = np.sort(table[:, losing], axis=0)[len(table) // 2]
    gains = _count_distinct((table[:, losing] - middle).astype(np.float32)) > _count_distinct(narrow[:, losing])
    fresh = center[losing] == 0
    center[losing] = np.where(gains & fresh, middle, center[losing])
    return center


def _count_distinct(table: np.ndarray) -> np.ndarray:
    """The number of distinct values in each column."""
    return np.asarray(1 + (np.diff(np.sort(table, axis=0), axis=0) != 0).sum(axis=0))


def value_range(where: str, x: Stored, span: Sequence[float] | None = None) -> tuple[float, float]:
    """The smallest and the largest value of some examples in the data's own units, or the ``span`` that they must keep.

    Raises:
        ValueError: a number is not finite or lies outside ``span``, or all numbers are the same.
    """
    if x.itemsize == 1:
        if span is not None:
            raise ValueError(f"span={list(span)}: {where} holds uint8, which is read as 0 to 1; leave span out")
        return 0.0, 1.0
    low, high = span or (-math.inf, math.inf)
    ends, size = list[float](), chunk(tuple(x.shape[1:]))
    for number, part in enumerate(x.split(size)):
        values = part.float().flatten(1)
        fits = (values >= low) & (values <= high) & values.isfinite()
        if not fits.all():
            row = int(fits.all(dim=1).long().argmin())
            element = int(fits[row].long().argmin())
            wrong, example = values[row, element], number * size + row
            if span and wrong.isfinite():
                place = f"{where}: example {example}, {_element(element, x.shape[1:])} holds {wrong.item():g}"
                raise ValueError(f"{place}, outside span={list(span)}; fix or remove it")
            found: Any = np.float32(wrong.item())
            if isinstance(part, OnDisk):
                found = part[row : row + 1].read_rows().transpose(part.axes).reshape(-1)[element]
            raise ValueError(_not_finite(where, example, element, x.shape[1:], found))
        ends += [values.min().item(), values.max().item()]
    if min(ends) == max(ends):
        raise ValueError(f"{where}: every number is {ends[0]:g}, so that there is nothing to learn")
    return (low, high) if span else (min(ends), max(ends))


def column_ranges(where: str, x: Stored, center: np.ndarray | None = None) -> ColumnRanges | None:
    """The ranges of the columns of vectors, if they differ by more than ``DIFFERENT_RANGES``: they have no common unit.

    What is compared is the width of the middle half of a sample, so that a few numbers far outside do not count; of a
    column in which nearly all numbers are equal, the whole width.

    Args:
        where: the origin of the examples, for messages.
        x: the examples to train on, (N, D) as stored.
        center: what was subtracted from each column.
    """
    if len(x.shape) != 2 or x.itemsize == 1:
        return None
    sample = x[torch.arange(0, len(x), -(-len(x) // SAMPLE_EXAMPLES))].float().double()
    quarters = [sample.quantile(share, dim=0, interpolation="nearest") for share in (0.25, 0.75)]
    middle = quarters[1] - quarters[0]
    if (middle > 0).all() and middle.max() <= DIFFERENT_RANGES * middle.min():
        return None  # without a pass over a large file
    lowest, highest = (end.value for end in _find_ends(x, is_table=True))
    width = highest - lowest
    compared = torch.where(middle > 0, middle, width)[width > 0]
    least, most = compared.min().item(), compared.max().item()
    if most <= DIFFERENT_RANGES * least:
        return None
    shift = torch.as_tensor(np.asarray(0.0 if center is None else center, np.float64)).expand_as(width)
    narrowest, widest = width[width > 0].min().item(), width.max().item()
    for limit, fits in ((narrowest, narrowest >= SINGLE_PRECISION[0]), (widest, widest <= SINGLE_PRECISION[1])):
        if not fits:
            column = int((width == limit).long().argmax())
            raise ValueError(
                f"{where}: the range of column {column} is {limit:.3g}, which float32 cannot hold; multiply the column"
                " by a suitable unit, or leave it out"
            )
    note = (
        f"{where}: the ranges of the columns differ, from {narrowest:.3g} to {widest:.3g}: each column is scaled to"
        " 0..1 by its range in the training split, and noise.level, epsilon and errors are in units of that range"
    )
    shared = (lowest.min().item(), highest.max().item())
    return ColumnRanges(lowest.float(), torch.where(width > 0, width, 1.0).float(), shift, shared, note)


def find_fill_values(where: str, x: Stored, center: np.ndarray | None = None) -> list[str]:
    """Lines that name numbers which may stand for missing ones, such as -9999, 1e20, and -1 among positive ones.

    Args:
        where: the origin of the examples, for messages.
        x: examples (N, D), or images, whose elements are compared with all others.
        center: what was subtracted.
    """
    if x.itemsize == 1:
        return []
    is_table = len(x.shape) == 2
    ends = _find_ends(x, is_table)
    every = -(-len(x) // min(SAMPLE_EXAMPLES, max(64, SAMPLE_NUMBERS // math.prod(x.shape[1:]))))
    sample = x[torch.arange(0, len(x), every)].float().double()
    sample = sample if is_table else sample.reshape(-1, 1)
    shift = torch.as_tensor(np.asarray(0.0 if center is None else center, np.float64))
    usual = sample[:, :, None] != torch.stack([end.value for end in ends], dim=-1)
    inside = usual.all(dim=-1)
    low = torch.where(inside, sample, math.inf).amin(dim=0)
    high = torch.where(inside, sample, -math.inf).amax(dim=0)
    found = list[str]()
    for end, other in zip(ends, reversed(ends), strict=True):
        is_empty = low > high  # a column with two values: the other end is the usual one
        lowest, highest = torch.where(is_empty, other.value, low), torch.where(is_empty, other.value, high)
        gap = torch.maximum(lowest - end.value, end.value - highest)
        spread, values, is_far = highest - lowest, end.value + shift, gap > highest - lowest
        is_code = torch.isin(values.float(), torch.tensor(SHORT_CODES)) & (is_far | (lowest + shift >= 0))
        for column in torch.nonzero(is_far | is_code)[:, 0].tolist():
            value = values[column].item()
            if is_code[column]:  # a column of -1 and 1, or of -1, 0 and 1, has no codes
                if sample[inside[:, column], column].unique().numel() < LEVELS_WITHOUT_CODE:
                    continue
            elif not is_fill_value(value) and not (0 < spread[column] < gap[column] / FAR):
                continue
            place = _element(int(end.element[column]), x.shape[1:])
            usual_low, usual_high = (
                (bound[column] + shift.expand_as(bound)[column]).item() for bound in (lowest, highest)
            )
            examples = _count_examples(x, column, end.value[column].item()) if len(found) < MAX_NAMED else 1
            others = (
                f", as {count_words(examples - 1, 'more example does', 'more examples do')}" if examples > 1 else ""
            )
            found.append(
                f"{where}: example {int(end.row[column])}, {place} holds {value:g}{others}: a fill value? Others are"
                f" from {usual_low:g} to {usual_high:g}; replace it, or leave such examples out"
            )
    more = [f"{where}: {len(found) - MAX_NAMED} more columns hold such values"] if len(found) > MAX_NAMED else []
    return found[:MAX_NAMED] + more


def find_dark_bytes(where: str, x: Stored) -> list[str]:
    """A line on bytes that use a small part of the range in which noise and errors are measured, such as 0 and 1.

    Args:
        where: the origin of the examples, for messages.
        x: the examples to train on.
    """
    highest = 0
    for part in x.split(chunk(tuple(x.shape[1:]))) if x.itemsize == 1 else ():
        highest = max(highest, int(part.float().max()))
        if highest >= DARK:  # soon, as a rule
            return []
    if not highest:  # not bytes, or refused elsewhere
        return []
    return [
        f"{where}: holds no number above {highest}, and is read as brightness from 0 to 255, the unit of noise.level,"
        f" epsilon and errors; multiply all by {255 // highest} to use the whole range"
    ]


def find_columns_of_bytes(where: str, x: Stored) -> list[str]:
    """A line on vectors of bytes whose columns have different ranges, which keep one range as pixels do.

    Args:
        where: the origin of the examples, for messages.
        x: the examples to train on.
    """
    if len(x.shape) != 2 or x.itemsize > 1:
        return []
    sample = x[torch.arange(0, len(x), -(-len(x) // SAMPLE_EXAMPLES))].float()
    width = sample.amax(dim=0) - sample.amin(dim=0)
    if not (width > 0).any() or width.max() <= DIFFERENT_RANGES * width[width > 0].min():
        return []
    return [
        f"{where}: vectors of bytes are read as pixels, with one range, 0 to 255, for all columns; for columns with"
        " different units, save x.astype('float32'): then each column has its own range"
    ]


def _count_examples(x: Stored, column: int, value: float) -> int:
    """How many examples hold a number in a column, or images anywhere."""
    parts = (part.float().flatten(1) for part in x.split(chunk(tuple(x.shape[1:]))))
    looked_at = ((part[:, [column]] if len(x.shape) == 2 else part) for part in parts)
    return sum(int((part == value).any(dim=1).sum()) for part in looked_at)


class _End(NamedTuple):
    """The smallest or the largest value of each column, and where it is."""

    value: Tensor  # (D,), float64; (1,) for images, as are the others
    row: Tensor
    element: Tensor


def _find_ends(x: Stored, is_table: bool) -> tuple[_End, _End]:
    """The smallest and the largest values, at their first places."""
    ends, size = list[_End | None]([None, None]), chunk(tuple(x.shape[1:]))
    for number, part in enumerate(x.split(size)):
        values = part.float().flatten(1)
        flat = values if is_table else values.reshape(-1, 1)
        for side, sign in enumerate((1, -1)):
            extreme, place = (flat * sign).min(dim=0)
            extreme = (extreme * sign).double()
            if is_table:
                new = _End(extreme, place + number * size, torch.arange(values.shape[1]))
            else:
                new = _End(extreme, place // values.shape[1] + number * size, place % values.shape[1])
            old = ends[side]
            if old is not None:
                better = new.value * sign < old.value * sign
                new = _End(*(torch.where(better, one, other) for one, other in zip(new, old, strict=True)))
            ends[side] = new
    lowest, highest = ends
    assert lowest is not None
    assert highest is not None
    return lowest, highest


def is_fill_value(value: float) -> bool:
    """Whether programs write a number in the place of a missing one, such as -9999 or 1e20."""
    size = abs(float(value))
    if size >= LARGE_FILL_VALUE or any(math.isclose(size, fill, rel_tol=1e-6) for fill in FILL_VALUES):
        return True
    return size.is_integer() and re.fullmatch(r"999+", f"{size:.0f}") is not None
