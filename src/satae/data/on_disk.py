"""Examples that stay in a file and are read when they are needed, for data sets that do not fit into memory."""

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
    """Rows of a ``.npy`` file, which stand for a tensor (N, *shape) of examples; :meth:`load` reads them.

    Rows are read one by one, not through a memory map: the system counts every page that it maps around a row as memory
    of the process, and soon that is the whole file.
    """

    file: Path
    offset: int  # bytes before the first number
    dtype: np.dtype
    row: tuple[int, ...]  # shape of one row of the file
    axes: tuple[int, ...]  # axes of the file, in the order of the tensor's axes; 0 is the first
    index: Tensor  # (N,): numbers of the rows, on the CPU
    device: torch.device = CPU  # of the tensors that ``load`` returns

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
        """Bytes of one number in the tensor that ``load`` returns."""
        return 1 if self.dtype == np.uint8 else 4

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: slice | Tensor) -> OnDisk:
        return replace(self, index=self.index[rows if isinstance(rows, slice) else rows.cpu()])

    def index_select(self, axis: int, rows: Tensor) -> OnDisk:
        """Select rows, like the method of a tensor; ``axis`` is 0."""
        assert axis == 0
        return self[rows]

    def split(self, size: int) -> list[OnDisk]:
        """Divide the rows into parts of ``size`` rows."""
        return [replace(self, index=part) for part in self.index.split(size)]

    def to(self, device: torch.device) -> OnDisk:
        """Choose the device of the tensors that ``load`` returns."""
        return replace(self, device=device)

    def float(self) -> Tensor:
        """Read the rows as float32, (N, *shape)."""
        return self.load().float()

    def load(self) -> Tensor:
        """Read the rows, (N, *shape): as uint8 if they are stored so, else as float32.

        Raises:
            OSError: the file is missing, or has become shorter.
        """
        rows = np.empty((len(self), *self.row), self.dtype)
        places = rows.reshape(len(self), math.prod(self.row)).view(np.uint8)
        index = self.index.numpy()
        starts = np.flatnonzero(np.diff(index, prepend=-2) != 1)  # adjacent rows are read together
        with self.file.open("rb", buffering=0) as file:
            for start, end in pairwise([*starts.tolist(), len(index)]):
                run = places[start:end]
                file.seek(self.offset + int(index[start]) * places.shape[1])
                if file.readinto(run.data) != run.nbytes:
                    raise OSError(f"{self.file}: has become shorter while it was read")
        stored = as_stored(rows.transpose(self.axes))
        on_gpu = self.device.type == "cuda"
        return (stored.pin_memory() if on_gpu else stored).to(self.device, non_blocking=on_gpu)


def as_stored(values: np.ndarray) -> Tensor:
    """An array as a tensor: uint8 stays, other types become float32. Numbers too large for that become infinite."""
    with np.errstate(over="ignore"):
        kind = np.uint8 if values.dtype == np.uint8 else np.float32
        return torch.from_numpy(np.ascontiguousarray(values, dtype=kind))
