"""A folder of the user's images."""

from __future__ import annotations

import numpy as np

from satae.config.option_types import Count, FilePath, OpenShare, Seed, Width
from satae.config.registry import DATA_SOURCES
from satae.data.dataset import Dataset
from satae.data.decoding import Background
from satae.data.images import DecodedImages, decode_once, find_images, local_image
from satae.data.local_files import expand_path
from satae.data.user_data import Part, split_user_data


@DATA_SOURCES.register("folder")
def folder(
    *,
    path: FilePath,
    test_path: FilePath | None = None,
    size: Width | None = 32,
    colour: bool = False,
    background: Background = "auto",
    valid: OpenShare = 0.15,
    test: OpenShare = 0.15,
    split_seed: Seed = 0,
    limit: Count | None = None,
) -> Dataset:
    """Images (1, size, size), or (3, size, size) in color, in [0, 1].

    All images below the folder are decoded once into a file in the user's cache, from which later runs read them. If
    each lies in a subfolder of ``path``, the name of that subfolder is its label. Images for the test are decoded like
    those to train on.

    Raises:
        ValueError: there are no images, one cannot be read or has another shape, the cache cannot be written, or a
            split would be empty.
    """
    parts, decoded = list[Part](), None
    for option, place in {"path": path, "test_path": test_path}.items():
        if place is not None:
            decoded, names, found = read_folder(option, place, size, colour, background, decoded)
            notes = [*found, *decoded.notes]
            parts.append(Part(f"{option}={place}", decoded.x, names, decoded.groups, notes=notes))
    return split_user_data("folder", parts, valid, test, split_seed, limit, remedy="set size", is_brightness=True)


def read_folder(
    option: str, path: str, size: int | None, colour: bool, background: Background, like: DecodedImages | None
) -> tuple[DecodedImages, np.ndarray | None, list[str]]:
    """The images of a folder, the name of each one's subfolder if all lie in subfolders, and notes on the files."""
    root, (files, notes) = expand_path(path), find_images(path, option)
    inside = [file.relative_to(root).parts for file in files]
    if {parts[0] for parts in inside} & {"train", "test"} == {"train", "test"}:
        raise ValueError(f"{option}={path}: has train and test in it; use path={path}/train test_path={path}/test")
    stats = ((file, file.stat()) for file in files)
    decoded = decode_once(
        root.name,
        [f"{file} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}" for file, stat in stats],
        [local_image(file) for file in files],
        background,
        size=size,
        colour=colour,
        like=like.rendering if like else None,
    )
    if outside := [parts[0] for parts in inside if len(parts) == 1]:
        if len(outside) < len(inside):
            where = f"in no subfolder: {len(outside)} of {len(inside)} images, such as {outside[0]}"
            notes.append(f"{option}={path}: there are no labels; {where}")
        return decoded, None, notes
    return decoded, np.array([inside[number][0] for number in decoded.file_numbers.tolist()]), notes
