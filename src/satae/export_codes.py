"""Write the codes of a user's examples by the model of a run: ``satae-export run=RUN format=npy data=x.npy``."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from satae import atomic_write
from satae.errors import ConfigError
from satae.messages import first_line, one_line, reason
from satae.runs.layout import CONFIG_FILE

if TYPE_CHECKING:
    import numpy as np

    from satae.config import Config

SPLITS: Final = ("train", "valid", "test")
ROWS: Final = 4096  # examples that are read at a time


class Examples(NamedTuple):
    """Examples in their order, in parts of which each fits into memory."""

    parts: Iterator[Any]  # arrays as a file has them, or tensors in the units of the model
    order: str  # of the rows
    labels: np.ndarray | None  # (N,)
    notes: Sequence[str] = ()


def labels_file(out: Path) -> Path:
    """The file of the labels that belong to the codes in a file."""
    return out.with_name(f"{out.stem}-labels.npy")


def write_codes(run: Path, out: Path, data: str, weights: Mapping[str, bool]) -> str:
    """Write the codes (N, K) of examples, and their labels if they have some; returns the line to print.

    Args:
        run: the directory of the run.
        out: a new ``.npy`` file.
        data: a ``.npy`` or ``.npz`` file, a folder of images, or a split of the run's own data.
        weights: which weights to take, as ``read_state`` has it.

    Raises:
        FileNotFoundError: the run has no checkpoint.
        ValueError: the checkpoint or the data cannot be read, or do not fit together.
    """
    import numpy as np

    from satae.config import saved_config
    from satae.runs.loading import load

    config = saved_config.read_config(run / CONFIG_FILE)
    model = load(run, best=weights["best"], ema=weights["ema"])
    found, codes = _find_examples(data, config, run, weights), list[Any]()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            for part in found.parts:
                is_array = isinstance(part, np.ndarray)
                codes.append(model.encode(part) if is_array else model.encode(part).detach().numpy())
        except ValueError as error:
            raise ConfigError(f"data={data}: {first_line(error)}") from None
        except OSError as error:
            raise ConfigError(f"data={data}: cannot be read ({reason(error)})") from None
    for line in dict.fromkeys([*found.notes, *(str(one.message) for one in caught)]):
        print(f"warning: data={data}: {one_line(line)}", file=sys.stderr)  # noqa: T201
    written, labels = np.concatenate(codes), found.labels
    with atomic_write.hidden_folder(out.parent, "export") as folder:
        if labels is not None:
            np.save(folder / labels_file(out).name, labels, allow_pickle=False)
        np.save(folder / out.name, written, allow_pickle=False)
        for file in sorted(folder.iterdir()):
            atomic_write.move_into_place(file, out.parent / file.name)
    beside = "" if labels is None else f"; labels in {labels_file(out)}"
    shape = " x ".join(f"{size:,}" for size in written.shape)
    return f"{out}: codes, {shape}, of data={data}, in the order of {found.order}{beside}"


def _find_examples(data: str, config: Config, run: Path, weights: Mapping[str, bool]) -> Examples:
    """The examples that ``data`` names.

    Raises:
        ConfigError: they cannot be read, or are not data of this run.
    """
    from satae.runs.loading import read_state

    place = Path(os.path.expanduser(data))
    try:
        if data in SPLITS and not place.exists():
            return _find_split(data, config, read_state(run, **weights).facts)
        if place.is_dir():
            return _find_images(data, config)
        if not place.exists():
            splits = "train, valid or test for a split of the run's own data"
            raise ConfigError(f"data={data}: no such file or folder; name a .npy or .npz file, a folder, or {splits}")
        return _find_arrays(data)
    except ConfigError:
        raise
    except OSError as error:
        raise ConfigError(f"data={data}: cannot be read ({reason(error)})") from None
    except (KeyError, ValueError) as error:
        raise ConfigError(f"data={data}: {first_line(error)}; run={run}") from None


def _find_arrays(data: str) -> Examples:
    import numpy as np

    from satae.data.arrays import read_arrays
    from satae.data.labels import read_labels

    found = read_arrays("", data, None)
    parts = (np.asarray(one.x[start : start + ROWS]) for one in found for start in range(0, max(1, len(one.x)), ROWS))
    have_labels = all(one.y is not None for one in found)
    labels = [read_labels(one.labels_from, one.y, len(one.x)) for one in found if one.y is not None]
    order = "its rows" if len(found) == 1 else "its rows, first x_train, then x_test"
    notes = [note for one in found for note in one.notes]
    return Examples(parts, order, np.concatenate(labels) if have_labels else None, notes)


def _find_images(data: str, config: Config) -> Examples:
    from satae.data.folder import read_folder

    options = config.data.options
    if config.data.name != "folder":
        raise ConfigError(f"data={data}: is a folder; it needs a run of data=folder, not of {config.data.name}")
    decoded, labels, notes = read_folder("data", data, options["size"], options["colour"], options["background"], None)
    stored = decoded.x.split(ROWS)
    parts = ((part if hasattr(part, "numpy") else part.load()).numpy() for part in stored)
    return Examples(parts, "the names of the images", labels, [*notes, *decoded.notes])


def _find_split(data: str, config: Config, facts: dict[str, Any]) -> Examples:
    from satae.data.dataset import chunk
    from satae.experiment import build
    from satae.experiment.experiment import check_shape

    known = build.dataset(config).as_seen_by(facts)
    check_shape(facts, known)
    split = dict(zip(SPLITS, known.splits, strict=True))[data]
    parts = (known.batch(part) for part in split.x.split(chunk(known.shape)))
    return Examples(parts, "the split", None if split.y is None else split.y.numpy())
