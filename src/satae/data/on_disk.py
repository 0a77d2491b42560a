"""Examples that stay in a file and are read as they are needed, for sets that memory does not hold."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

CPU: Final = torch.device("cpu")


@dataclass(frozen=True)
class OnDisk:
    """Rows of a ``.npy`` file, in the place of a tensor (N, *shape) of examples; :meth:`float` and :meth:`load` read.

    Rows are read one by one rather than through a memory map: what the system maps around each row that is touched
    counts as memory of the process, and soon is the whole file.
    """

    file: Path
    offset: int  # bytes before the first number
    dtype: np.dtype
    row: tuple[int, ...]  # shape of one row of the file
    axes: tuple[int, ...]  # of the file, in the order in which they are wanted; 0 first
    index: Tensor  # (N,): which rows, on the CPU
    device: torch.device = CPU  # that they are read to

    @classmethod
    def of(cls, array: np.memmap) -> OnDisk:
        """All rows of an array that ``numpy.load`` mapped, which is stored row by row."""
        file, (count, *row) = Path(str(array.filename)), array.shape
        return cls(file, array.offset, array.dtype, tuple(row), tuple(range(array.ndim)), torch.arange(count))

    @property
    def shape(self) -> torch.Size:
        """(N, *shape)."""
        return torch.Size([len(self), *(self.row[axis - 1] for axis in self.axes[1:])])

    @property
    def itemsize(self) -> int:
        """Bytes of a number, once it is read."""
        return 1 if self.dtype == np.uint8 else 4

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: slice | Tensor) -> OnDisk:
        return replace(self, index=self.index[rows if isinstance(rows, slice) else rows.cpu()])

    def index_select(self, axis: int, rows: Tensor) -> OnDisk:
        """Some of the rows, as of a tensor: ``axis`` is 0."""
        assert axis == 0
        return self[rows]

    def split(self, size: int) -> list[OnDisk]:
        """The rows, ``size`` at a time."""
        return [replace(self, index=part) for part in self.index.split(size)]

    def to(self, device: torch.device) -> OnDisk:
        """The same, read to a device."""
        return replace(self, device=device)

    def float(self) -> Tensor:
        """The rows as float32, (N, *shape)."""
        return self.load().float()

    def load(self) -> Tensor:
        """The rows (N, *shape): as uint8 if they are stored so, else as float32.

        Raises:
            OSError: the file is gone, or has become shorter.
        """
        rows = np.empty((len(self), *self.row), self.dtype)
        places = rows.reshape(len(self), math.prod(self.row)).view(np.uint8)
        index = self.index.numpy()
        begins = np.flatnonzero(np.diff(index, prepend=-2) != 1)  # of the runs of adjacent rows, read at once
        with self.file.open("rb", buffering=0) as file:
            for begin, end in pairwise([*begins.tolist(), len(index)]):
                run = places[begin:end]
                file.seek(self.offset + int(index[begin]) * places.shape[1])
                if file.readinto(run.data) != run.nbytes:
                    raise OSError(f"{self.file}: has become shorter while it was read")
        stored = as_stored(rows.transpose(self.axes))
        on_gpu = self.device.type == "cuda"
        return (stored.pin_memory() if on_gpu else stored).to(self.device, non_blocking=on_gpu)


def as_stored(values: np.ndarray) -> Tensor:
    """An array as a tensor of uint8, if it is that, or else of float32; numbers too large for that become infinite."""
    with np.errstate(over="ignore"):
        kind = np.uint8 if values.dtype == np.uint8 else np.float32
        return torch.from_numpy(np.ascontiguousarray(values, dtype=kind))
