"""Labels: read as classes, checked once, and numbered from 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

WITHHELD: Final = -1  # the label of every example of a test whose labels are kept secret
MAX_SHOWN: Final = 6  # classes in a message


def read_labels(where: str, values: np.ndarray, count: int) -> np.ndarray:
    """Convert an array (count,), (count, 1) or (count, K) to one class for each example, int64 or words, (count,).

    Whole numbers, words, true and false are classes. Rows of zeros with a single one stand for its column.

    Args:
        where: the origin of the labels, for messages.
        values: the labels.
        count: number of examples.

    Raises:
        ValueError: the array has another shape, or does not hold classes.
    """
    if values.shape in ((count,), (count, 1)):
        flat, kind = values.reshape(count), str(values.dtype.kind)
        if kind == "f":
            is_whole = (flat == np.floor(flat)) & (abs(flat.astype(np.float64)) < 2.0**63)  # float16 cannot hold 2^63
            if not is_whole.all():
                number = int(np.argmin(is_whole))
                raise ValueError(
                    f"{where}: label {number} is {flat[number]:g}; a label must be a whole number: leave out its"
                    " example, or give it a class"
                )
            kind = "whole"
        if kind in ("whole", "i", "b") or (kind == "u" and (not count or flat.max() < 2**63)):
            return flat.astype(np.int64)
        if kind == "S":
            return np.array([item.decode("utf-8", "replace") for item in flat.tolist()])
        if kind in "UT" or (kind == "O" and all(isinstance(item, str) for item in flat)):
            return flat.astype(str)
    elif values.ndim == 2 and len(values) == count and values.dtype.kind in "iufb":
        ones = values == 1
        if (ones | (values == 0)).all() and (ones.sum(axis=1) == 1).all():
            return np.asarray(ones.argmax(axis=1), np.int64)
    raise ValueError(
        f"{where}: has labels of shape {values.shape}, {values.dtype}; must be {count} whole numbers, one for each"
        " example: y.astype('int64'), or y.argmax(1); or words"
    )


def number_labels(parts: Sequence[tuple[str, np.ndarray | None]]) -> tuple[list[Tensor | None], list[str]]:
    """Number the classes of some examples from 0, in the order of their names, the same for all parts.

    Args:
        parts: the examples to train on, and optionally those for the test: their origin and the class of each.

    Returns:
        The labels (N,) of each part, or None if it has none; and lines that say what was done.

    Raises:
        ValueError: one part has words and the other one numbers.
    """
    notes, kept = list[str](), list[tuple[str, np.ndarray | None]]()
    for where, labels in parts:
        if labels is not None and labels.dtype.kind == "i" and len(labels) and (labels == WITHHELD).all():
            notes.append(f"{where}: every label is -1, which stands for none: it is read as having no labels")
            labels = None
        kept.append((where, labels))
    there = [(where, labels) for where, labels in kept if labels is not None]
    kinds = {labels.dtype.kind for _, labels in there}
    if len(kinds) > 1:
        words = next(where for where, labels in there if labels.dtype.kind == "U")
        raise ValueError(f"{words}: has words as labels, and the other examples have numbers; save both alike")
    names = [dict.fromkeys(np.unique(labels).tolist()) for _, labels in there]
    classes = sorted({name for some in names for name in some})
    if kinds == {"i"} and classes != list(range(len(classes))):
        notes.append(f"the labels {_shorten(classes)} are numbered from 0 to {len(classes) - 1}")
        if WITHHELD in classes and classes[1:] != [1]:
            notes.append("label -1 is read as a class of its own; leave out its examples if it stands for no label")
    if "" in classes:
        notes.append("the empty label is read as a class of its own; leave out its examples if it stands for no label")
    if len(names) == 2 and (unseen := [name for name in names[1] if name not in names[0]]):
        notes.append(f"{there[1][0]}: has labels that no example to train on has: {_shorten(unseen)}")
    if len(kept) == 2 and len(there) == 1:
        if kept[1][1] is None:
            notes.append(f"the test split has no labels ({kept[1][0]}): evaluate with split=valid, which has")
        else:
            notes.append(f"only the test split has labels: the examples to train on have none ({kept[0][0]})")
    place = {name: number for number, name in enumerate(classes)}
    return [None if labels is None else _to_numbers(labels, place) for _, labels in kept], notes


def _to_numbers(labels: np.ndarray, place: dict[object, int]) -> Tensor:
    names, inverse = np.unique(labels, return_inverse=True)
    numbers = np.array([place[name] for name in names.tolist()], np.int64)
    return torch.from_numpy(numbers[inverse.reshape(-1)])


def _shorten(names: Sequence[object]) -> str:
    shown = [str(name) for name in names[:MAX_SHOWN]]
    return ", ".join(shown) + (f", ... ({len(names)} in all)" if len(names) > MAX_SHOWN else "")
