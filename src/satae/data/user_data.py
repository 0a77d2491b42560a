"""Checks that all of a user's own data must pass, and their division into three splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from torch import Tensor

from satae.data.dataset import Dataset, Split, Stored, can_split_groups, refuse_constant, shuffled_splits
from satae.data.labels import number_labels
from satae.data.numeric_arrays import (
    DIFFERENT_RANGES,
    column_ranges,
    find_columns_of_bytes,
    find_dark_bytes,
    find_fill_values,
    value_range,
)

WIDEST: Final = 1e18  # range of data: of a wider one, errors have no squares in float32


class Part(NamedTuple):
    """Some examples of a user."""

    where: str  # their origin, for messages
    x: Stored
    labels: np.ndarray | None = None  # (N,): a class for each, as read_labels returns it
    groups: Tensor | None = None  # (N,): examples with one number belong together
    center: np.ndarray | None = None  # what was subtracted
    notes: Sequence[str] = ()


def split_user_data(
    name: str,
    parts: Sequence[Part],
    valid: float,
    test: float,
    seed: int,
    limit: int | None,
    span: Sequence[float] | None = None,
    *,
    remedy: str,
    is_brightness: bool = False,
) -> Dataset:
    """Check the user's examples and divide them into three splits.

    ``parts`` are the examples to train on, and optionally those for the test. ``remedy`` says what to do if the test
    examples have another shape or type; ``is_brightness`` that they are from 0 to 1. The rest are options of the source
    ``name``.

    Raises:
        ValueError: the test examples have another shape or type, a number is out of range, labels do not fit, a split
            would be empty, or all training examples are the same.
    """
    if is_brightness and parts[0].x.itemsize > 1:
        span = (0.0, 1.0)
    kinds = [f"{tuple(part.x.shape[1:])} of {'uint8' if part.x.itemsize == 1 else 'float32'}" for part in parts]
    for part, kind in zip(parts, kinds, strict=True):
        if kind != kinds[0]:
            raise ValueError(f"{part.where}: its test examples are {kind}, those to train on {kinds[0]}; {remedy}")
    notes = [note for part in parts for note in part.notes]
    ranges = [value_range(part.where, part.x, span) for part in parts]
    fills = [note for part in parts for note in find_fill_values(part.where, part.x, part.center)]
    notes += [*fills, *find_dark_bytes(parts[0].where, parts[0].x), *find_columns_of_bytes(parts[0].where, parts[0].x)]
    narrow, whole = min(high - low for low, high in ranges), max(map(max, ranges)) - min(map(min, ranges))
    if not fills and whole > DIFFERENT_RANGES * narrow:
        widths = ", those to train on ".join(f"{high - low:.3g}" for low, high in reversed(ranges))
        notes.append(f"{parts[1].where}: its numbers span {widths}, and both together {whole:.3g}: in the same unit?")
    labels, label_notes = number_labels([(part.where, part.labels) for part in parts])
    pool, *tests = (Split(part.x, y) for part, y in zip(parts, labels, strict=True))
    first, splits_wanted = parts[0], 2 if tests else 3
    if first.groups is not None and can_split_groups(first.groups, splits_wanted):
        notes.append(f"{first.where}: the pages of one file stay in one split")
    elif first.groups is not None:
        notes.append(
            f"{first.where}: there are fewer than {splits_wanted} files, so that the pages of one file lie in several"
            " splits: in their order, first those to train on"
        )
    splits = shuffled_splits(
        pool, valid=valid, test=tests[0] if tests else test, seed=seed, limit=limit, groups=first.groups
    )
    refuse_constant(first.where, splits[0])
    # of the training split alone: the noise may know no more
    columns = None if span else column_ranges(first.where, splits[0].x, first.center)
    if columns is None and (width := max(high for _, high in ranges) - min(low for low, _ in ranges)) > WIDEST:
        why = f"float32 cannot hold the square of the range of the data, {width:g}; divide all by a suitable unit"
        raise ValueError(f"{fills[0]} ({why})" if fills else f"{first.where}: {why}")
    span = value_range(first.where, splits[0].x, span) if columns is None else (0.0, 1.0)
    scale = 1 / 255 if pool.x.itemsize == 1 else 1.0
    said = tuple(dict.fromkeys([*notes, *([columns.note] if columns else []), *label_notes]))
    center = first.center if columns is None else None
    return Dataset(name, *splits, span=span, scale=scale, columns=columns, center=center, notes=said)
