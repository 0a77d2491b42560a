"""Checkpoints: all that a run needs to go on, in files that are replaced as a whole and hold numbers and text alone.

Each is a safetensors file: named tensors, and JSON in its metadata, with a SHA-256 of all of it. No pickle is read or
written, so that a file from a stranger can run nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from satae import atomic_write as files
from satae.printable import brief, brief_line

FORMAT: Final = 2
SHA256: Final = 64  # digits


class Refused(ValueError):
    """A file that is no checkpoint, or not one of ours."""


class Damaged(Refused):
    """A file that is shown not to be what was written."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: not a checkpoint that can be read ({reason})")


class State(NamedTuple):
    """What a checkpoint holds."""

    facts: dict[str, Any]  # plain data, as JSON has it
    tensors: dict[str, Tensor]  # by name, on the CPU

    @property
    def step(self) -> int:
        """That it is of.

        Raises:
            ValueError: it is of none.
        """
        step = self.facts.get("step")
        if type(step) is not int or not 0 <= step < 2**62:
            raise ValueError(f"its step is {brief(step)}")
        return step

    @property
    def best(self) -> float | None:
        """The lowest loss so far.

        Raises:
            ValueError: it is no number.
        """
        best = self.facts.get("best")
        if best is not None and not (type(best) is float and math.isfinite(best)):
            raise ValueError(f"its best loss is {brief(best)}")
        return best

    @property
    def is_finite(self) -> bool:
        """Whether all its numbers are."""
        return all(bool(x.isfinite().all()) for x in self.tensors.values() if x.is_floating_point())

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors whose names begin with a word and a slash, without these."""
        return {key.removeprefix(f"{name}/"): x for key, x in self.tensors.items() if key.startswith(f"{name}/")}

    def with_facts(self, **facts: Any) -> State:
        """The same with more facts."""
        return self._replace(facts=self.facts | facts)

    def copied(self) -> State:
        """The same, which stays as it is when the model and the optimiser change."""
        return self._replace(tensors={name: x.detach().clone() for name, x in self.tensors.items()})

    def with_part(self, name: str, tensors: Mapping[str, Tensor]) -> State:
        """The same with tensors that :meth:`part` gives again."""
        return self._replace(tensors={**self.tensors, **{f"{name}/{key}": x for key, x in tensors.items()}})


def save(path: Path, state: State) -> None:
    """Write a state; a file that was there stays whole until the new one is, whatever happens meanwhile.

    Raises:
        OSError: it cannot be written; what was there is left.
    """
    files.make_folder(path.parent)
    tensors = {name: x.detach().cpu().contiguous().clone() for name, x in state.tensors.items()}
    facts = json.dumps(state.facts)
    metadata = {"format": str(FORMAT), "facts": facts, "sha256": _digest(facts, tensors)}
    files.replace(path, safetensors_bytes(tensors, metadata))


def load(path: Path) -> State:
    """Read a state back, whole or not at all.

    Raises:
        FileNotFoundError: there is none.
        OSError: the system does not let it be read, with its name.
        Damaged: not a checkpoint, or not what was written.
        ValueError: one of another format.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; name a run directory that satae-train has made")
    if (size := path.stat().st_size) > memory():
        told = f"of {size / 1e9:,.0f} GB, which is more than the memory of this machine"
        raise Refused(f"{path}: not a checkpoint that can be read ({told})")
    with files.name_file_in_errors(path), path.open("rb") as probe:  # safetensors does not say why it cannot read
        probe.read(1)
    try:
        with safe_open(path, "pt") as file:  # which looks whether the file is as long as its header says
            metadata = file.metadata() or {}
            facts = _facts(path, metadata)
            tensors = {name: file.get_tensor(name) for name in [*file.keys()]}
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    except (MemoryError, Refused):
        raise
    except SafetensorError as error:
        raise Damaged(path, brief_line(error)) from None
    except Exception as error:  # whatever else safetensors and torch raise, which need not be the file's fault
        raise ValueError(f"{path}: cannot be read ({brief_line(error)})") from None
    if _digest(metadata["facts"], tensors) != metadata["sha256"]:
        raise Damaged(path, "it is damaged: its SHA-256 is another")
    return State(facts, tensors)


def _facts(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """What the header says of a checkpoint, before any of its numbers is read."""
    if (found := metadata.get("format")) != str(FORMAT):
        raise Refused(f"{path}: a checkpoint of format {brief(found)}; this version of satae reads format {FORMAT}")
    if len(metadata.get("sha256", "")) != SHA256:
        raise Damaged(path, "it has no SHA-256")
    try:
        facts = json.loads(metadata.get("facts", ""))
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise Damaged(path, "it has no facts")
    return facts


def memory() -> int:
    """Of this machine, in bytes: no larger checkpoint can be read."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def is_damaged(path: Path) -> bool:
    """Whether a file is shown to be: one of another format is not, nor one that the system does not let be read."""
    try:
        load(path)
    except Damaged:
        return True
    except (OSError, ValueError, MemoryError):
        pass
    return False


def _digest(facts: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and contents."""
    total = hashlib.sha256(facts.encode())
    for part in _parts(tensors):
        total.update(part)
    return total.hexdigest()


def _parts(tensors: Mapping[str, Tensor]) -> Iterator[Any]:
    for name in sorted(tensors):
        x = tensors[name]
        yield f"\0{name}\0{x.dtype}\0{tuple(x.shape)}\0".encode()
        yield x.reshape(-1).view(torch.uint8).numpy()  # memory as it is
