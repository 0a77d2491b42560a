"""A folder of the user's images."""

from __future__ import annotations

import torch

from satae.config.option_types import Count, FilePath, OpenShare, Seed, Width
from satae.config.registry import DATA_SOURCES
from satae.data.arrays import split_user_data
from satae.data.dataset import Dataset, OnDisk, Split
from satae.data.images import decode_once, find_images, read_image
from satae.data.local_files import expand_path


@DATA_SOURCES.register("folder", origin="a folder of images")
def folder(
    *,
    path: FilePath,
    test_path: FilePath | None = None,
    size: Width | None = 32,
    colour: bool = False,
    valid: OpenShare = 0.15,
    test: OpenShare = 0.15,
    split_seed: Seed = 0,
    limit: Count | None = None,
) -> Dataset:
    """Images (1, size, size), or (3, size, size) in colour, in [0, 1].

    All images below the folder are decoded once into a file in the user's cache, from which later runs read them. If
    each lies in a subfolder of ``path``, the name of that subfolder is its label.

    Raises:
        ValueError: there are no images, one cannot be read or has another shape, the cache cannot be written, or a
            split would be empty.
    """
    folders = {"path": path} | ({"test_path": test_path} if test_path else {})
    found = {option: _read(option, place, size, colour) for option, place in folders.items()}
    classes = sorted({name for _, names in found.values() for name in names or []})
    labels = {name: number for number, name in enumerate(classes)}
    parts = [
        (f"{option}={folders[option]}", Split(x, torch.tensor([labels[name] for name in names]) if names else None))
        for option, (x, names) in found.items()
    ]
    return split_user_data("folder", parts, valid, test, split_seed, limit, remedy="set size")


def _read(option: str, path: str, size: int | None, colour: bool) -> tuple[OnDisk, list[str] | None]:
    """The images of a folder, and the name of each one's subfolder if all lie in subfolders."""
    root, files = expand_path(path), find_images(path, option)
    inside = [file.relative_to(root).parts for file in files]
    if {parts[0] for parts in inside} & {"train", "test"} == {"train", "test"}:
        raise ValueError(f"{option}={path}: has train and test in it; use path={path}/train test_path={path}/test")
    stats = ((file, file.stat()) for file in files)
    x = decode_once(
        root.name,
        [f"{file} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}" for file, stat in stats],
        len(files),
        lambda number: read_image(files[number], size, colour),
        lambda number: str(files[number]),
        size=size,
        colour=colour,
    )
    return x, [parts[0] for parts in inside] if all(len(parts) > 1 for parts in inside) else None
