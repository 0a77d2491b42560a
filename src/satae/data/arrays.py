"""A user's own numbers, in ``.npy`` and ``.npz`` files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from satae.data.cache import located
from satae.data.dataset import Dataset, Split
from satae.data.errors import reason
from satae.data.examples import LAYOUTS, as_labels, dataset_of, examples

NAMES: Final = ("x", "y", "x_train", "y_train", "x_test", "y_test")  # in a .npz file


def array(
    *,
    path: str,
    labels: str | None = None,
    test_path: str | None = None,
    test_labels: str | None = None,
    layout: str = "auto",
    span: Sequence[float] | None = None,
    valid: float = 0.15,
    test: float = 0.15,
    split_seed: int = 0,
    limit: int | None = None,
) -> Dataset:
    """Vectors (N, D), or images (N, H, W), (N, H, W, C) or (N, C, H, W).

    Bytes (uint8) are taken as brightness, from 0 to 1; floating-point numbers stay as they are. A ``.npy`` file that is
    large is not read into memory, but mapped.

    Args:
        path: a ``.npy`` file; or a ``.npz`` file with one array, or with ``x``, or ``x_train`` and perhaps ``x_test``,
            and perhaps labels ``y``, ``y_train``, ``y_test``.
        labels: a ``.npy`` file (N,) of whole numbers, beside a ``.npy`` file.
        test_path: a file like ``path`` with examples for the test.
        test_labels: their labels.
        layout: ``"channels_first"``, ``"channels_last"``; ``"auto"`` takes the axis of length 1 to 4.
        span: the smallest and the largest value that the numbers promise to keep; None for those of the training
            split.
        valid: share of the examples for validation.
        test: share for the test, where there are no examples for it.
        split_seed: of the split.
        limit: use only the first ``limit`` examples of each split.

    Raises:
        ValueError: a file that cannot be read, numbers of another type or shape, nan or infinite ones, some outside
            ``span``, labels that do not fit; an empty split.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"data.layout={layout}: choose one of {', '.join(LAYOUTS)}")
    if test_labels and not test_path:
        raise ValueError(f"data.test_labels={test_labels}: belongs to data.test_path; give that too")
    parts = _read("data.labels", path, labels, layout)
    if test_path:
        if len(parts) > 1:
            raise ValueError(f"data.test_path={test_path}: {path} has examples for the test already; leave one out")
        parts += _read("data.test_labels", test_path, test_labels, layout)
    return dataset_of(
        "array", parts, span, remedy="save both alike", valid=valid, test=test, seed=split_seed, limit=limit
    )


def _read(option: str, path: str, labels: str | None, layout: str) -> list[tuple[str, Split]]:
    """Where from, and the examples of a file, with labels that an option names; then those set aside for the test."""
    file = located(path)
    if file.suffix == ".npy":
        x = examples(path, _loaded(path), layout)
        return [(path, Split(x, as_labels(labels, _loaded(labels), len(x)) if labels else None))]
    if file.is_dir():
        raise ValueError(f"{path}: is a folder; images in a folder are read by data=folder")
    if file.suffix != ".npz":
        raise ValueError(f"{path}: must be a .npy or .npz file, as numpy.save and numpy.savez write them")
    if labels:
        raise ValueError(f"{option}={labels}: belongs to a .npy file; {path} has its labels in itself, as y")
    found = _unzipped(path)
    if len(found) == 1 and not {"x_train", "x_test"} & {*found}:
        found = {"x": next(iter(found.values()))}
    parts = {name: found[name] for name in ("x", "x_train", "x_test") if name in found}
    if {*parts} not in ({"x"}, {"x_train"}, {"x_train", "x_test"}):
        raise ValueError(f"{path}: has {', '.join(found) or 'nothing'}; name the examples x, or x_train and x_test")
    splits = []
    for name, values in parts.items():
        where = f"{path}, {name}"
        x, y = examples(where, values, layout), found.get(name.replace("x", "y", 1))
        splits += [(where, Split(x, None if y is None else as_labels(where, y, len(x))))]
    return splits


def _loaded(path: str) -> np.ndarray:
    """The array of a ``.npy`` file: mapped, where its rows lie one after the other."""
    try:
        array = np.load(located(path), mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.memmap):
            array.close()
            raise ValueError("it is a .npz file")
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except Exception as error:  # whatever numpy raises for a header that is none
        raise ValueError(f"{path}: cannot be read as a .npy file ({reason(error)}); write it with numpy.save") from None
    return array if array.flags.c_contiguous else np.asarray(array.copy("C"))


def _unzipped(path: str) -> dict[str, np.ndarray]:
    try:
        with located(path).open("rb") as file, np.load(file, allow_pickle=False) as found:
            names = [name for name in found.files if name in NAMES or len(found.files) == 1]
            read = {name: np.asanyarray(found[name]) for name in names}
            return read or dict.fromkeys(found.files, np.empty(0))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except Exception as error:  # whatever numpy and its archives raise
        raise ValueError(
            f"{path}: cannot be read as a .npz file ({reason(error)}); write it with numpy.savez"
        ) from None
