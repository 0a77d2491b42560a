"""A folder of the user's images."""

from __future__ import annotations

import torch

from satae.data import cache, images
from satae.data.dataset import Dataset, Split
from satae.data.examples import dataset_of
from satae.data.on_disk import OnDisk


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
    places = {"data.path": path} | ({"data.test_path": test_path} if test_path else {})
    found = {option: _read(option, place, size, colour) for option, place in places.items()}
    known = sorted({name for _, names in found.values() for name in names or []})
    numbers = {name: number for number, name in enumerate(known)}
    parts = [
        (f"{option}={places[option]}", Split(x, torch.tensor([numbers[name] for name in names]) if names else None))
        for option, (x, names) in found.items()
    ]
    return dataset_of("folder", parts, remedy="set data.size", valid=valid, test=test, seed=split_seed, limit=limit)


def _read(option: str, path: str, size: int | None, colour: bool) -> tuple[OnDisk, list[str] | None]:
    """The images of a folder, and the folder in it in which each lies, if all lie in one."""
    root, files = cache.located(path), images.listed(path, option)
    within = [file.relative_to(root).parts for file in files]
    if {parts[0] for parts in within} & {"train", "test"} == {"train", "test"}:
        raise ValueError(
            f"{option}={path}: has train and test in it; say data.path={path}/train data.test_path={path}/test"
        )
    stats = ((file, file.stat()) for file in files)
    x = images.decoded(
        root.name,
        [f"{file} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}" for file, stat in stats],
        len(files),
        lambda number: images.opened(files[number], size, colour),
        lambda number: str(files[number]),
        size=size,
        colour=colour,
    )
    return x, [parts[0] for parts in within] if all(len(parts) > 1 for parts in within) else None
