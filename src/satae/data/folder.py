"""A folder of the user's images."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from satae.data import images
from satae.data.dataset import Dataset, Split, check_alike, shuffled_splits


def folder(
    *,
    path: str,
    test_path: str | None = None,
    size: int | None = 32,
    colour: bool = False,
    valid: float = 0.15,
    test: float = 0.15,
    split_seed: int = 0,
    limit: int | None = None,
) -> Dataset:
    """Images (1, size, size), or (3, size, size) in colour, in [0, 1].

    All images below the folder are decoded once into a file in the user's cache, from which later runs read them. If
    each lies in a folder of ``path``, that folder is its label.

    Args:
        path: the folder.
        test_path: another one, for the test.
        size: side of the square to which the middle of each image is scaled; None leaves them as they are.
        colour: red, green and blue rather than grey.
        valid: share of the images for validation.
        test: share for the test, where there is no ``test_path``.
        split_seed: of the split.
        limit: use only the first ``limit`` images of each split.

    Raises:
        ValueError: no images, one that cannot be read or has another shape, no room for the cache; an empty split.
    """
    own_test, test_names = _split("data.test_path", test_path, size, colour) if test_path else (None, None)
    train, names = _split("data.path", path, size, colour)
    if own_test:
        check_alike(f"data.test_path={test_path}", own_test, train, "set data.size")
        own_test = own_test._replace(y=_numbered(test_names, [*(names or []), *(test_names or [])]))
    pool = train._replace(y=_numbered(names, [*(names or []), *(test_names or [])]))
    splits = shuffled_splits(pool, valid=valid, test=own_test or test, seed=split_seed, limit=limit)
    return Dataset("folder", *splits, span=(0.0, 1.0), scale=1 / 255)


def _split(option: str, path: str, size: int | None, colour: bool) -> tuple[Split, list[str] | None]:
    """The images of a folder, and the folder in it in which each lies, if all lie in one."""
    root, files = Path(path).expanduser().absolute(), images.listed(path, option)
    stats = ((file, file.stat()) for file in files)
    origin = [f"{file} {stat.st_size} {stat.st_mtime_ns}" for file, stat in stats]
    x = images.decoded(
        f"{root.name}-{size or 'full'}-{'colour' if colour else 'grey'}",
        "\n".join([f"{size} {colour}", *origin]),
        len(files),
        lambda number: images.opened(files[number], size, colour),
        lambda number: str(files[number]),
    )
    within = [file.relative_to(root).parts for file in files]
    return Split(x), [parts[0] for parts in within] if all(len(parts) > 1 for parts in within) else None


def _numbered(names: list[str] | None, known: list[str]) -> Tensor | None:
    """Each name's place among those that are known."""
    numbers = {name: number for number, name in enumerate(sorted({*known}))}
    return None if names is None else torch.tensor([numbers[name] for name in names])
