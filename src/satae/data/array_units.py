"""Converts arrays in the units of a user's file to the units of a trained model, and back."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from satae.data.numeric_arrays import DARK

UNIT_FACTS: Final = ("span", "columns", "center")  # what run.json says about the units of the data
SUBTRACTED: Final = " is subtracted from "  # in a note of a run; early versions did not record what was


class ArrayUnits(NamedTuple):
    """What turns examples as a file holds them into the inputs of one model."""

    shape: tuple[int, ...]  # of one input
    low: np.ndarray | float = 0.0  # in the file's units: of each column, or of all numbers
    width: np.ndarray | float = 1.0
    span: tuple[float, float] | None = None  # the range of the inputs in training, after the conversion
    is_scaled: bool = False  # whether each column is scaled by a range of its own
    channels_last: bool = False  # how an array is read that could be both
    fault: str = ""  # why arrays cannot be converted

    @classmethod
    def of(cls, shape: tuple[int, ...], facts: Mapping[str, Any], notes: object = (), layout: str = "") -> ArrayUnits:
        """The units of a run.

        Args:
            shape: of one input.
            facts: what ``run.json`` says about the data.
            notes: what it says was assumed about them.
            layout: the option ``data.layout``.
        """
        units = cls(shape, channels_last=layout == "channels_last")
        try:
            if "span" in facts:
                low, high = map(float, facts["span"])
                units = units._replace(span=(low, high))
            if "columns" in facts:
                lows, highs = (np.asarray(facts["columns"][end], np.float64).reshape(shape) for end in ("low", "high"))
                width = np.where(highs > lows, highs - lows, 1.0)
                return units._replace(low=lows, width=width, is_scaled=True)
            if "center" in facts:
                return units._replace(low=np.asarray(facts["center"], np.float64))
        except (KeyError, TypeError, ValueError):
            return units._replace(fault="what run.json says about the units of the data cannot be read; give a tensor")
        if SUBTRACTED in str(notes):
            lost = "an earlier version made this run, and did not record the number that it subtracted from the data"
            return units._replace(fault=f"{lost}; subtract it, and give a tensor")
        return units

    def to_tensor(self, x: np.ndarray) -> Tensor:
        """Examples (N, *shape) in the units of the model, float32.

        Args:
            x: as ``data=array`` takes them: (N, D), (N, H, W), (N, H, W, C) or (N, C, H, W), floating-point, or uint8
                for brightness from 0 to 255.

        Raises:
            ValueError: they have another shape or type, or a number that is not finite.
        """
        if self.fault:
            raise ValueError(self.fault)
        if x.dtype != np.uint8 and x.dtype.kind != "f":
            raise ValueError(f"the array holds {x.dtype}; must be floating-point, or uint8 for brightness")
        values = self._channels_first(x)
        if x.dtype == np.uint8:
            if self.is_scaled or self.span not in (None, (0.0, 1.0)):
                raise ValueError(
                    "the array holds uint8, but the model was trained on other numbers; x.astype('float32')"
                )
            values = values / 255
        low = np.reshape(self.low, self.shape) if np.size(self.low) > 1 else self.low
        found = np.ascontiguousarray((values.astype(np.float64) - low) / self.width, np.float32)
        if not np.isfinite(found).all():
            row = int(np.argmin(np.isfinite(found.reshape(len(found), -1)).all(axis=1)))
            raise ValueError(f"example {row} holds a number that is not finite, or too large for float32")
        self._warn_of_another_range(found, is_bytes=x.dtype == np.uint8)
        return torch.from_numpy(found)

    def to_array(self, y: Tensor) -> np.ndarray:
        """Reconstructions (N, *shape) in the units of the file; bytes come back from 0 to 1."""
        values = y.numpy()
        if not self.is_scaled and np.size(self.low) == 1 and float(self.low) == 0:
            return values
        low = np.reshape(self.low, self.shape) if np.size(self.low) > 1 else self.low
        return np.asarray(values.astype(np.float64) * self.width + low)

    def _channels_first(self, x: np.ndarray) -> np.ndarray:
        """The examples as (N, *shape)."""
        given, is_image = x.shape[1:], len(self.shape) == 3
        last = (*self.shape[1:], self.shape[0]) if is_image else None
        if x.ndim > 1 and len(x):
            if given == last and (self.channels_last or given != self.shape):
                return x.transpose(0, 3, 1, 2)
            if given == self.shape or (is_image and self.shape[0] == 1 and given == self.shape[1:]):
                return x.reshape(len(x), *self.shape)
        shapes = [self.shape, *([self.shape[1:]] if is_image and self.shape[0] == 1 else []), *([last] if last else [])]
        wanted = " or ".join(f"(N, {', '.join(map(str, shape))})" for shape in dict.fromkeys(filter(None, shapes)))
        raise ValueError(f"the array has shape {x.shape}; this model takes {wanted}")

    def _warn_of_another_range(self, found: np.ndarray, *, is_bytes: bool) -> None:
        """Warn of numbers far outside the range in training, and of bytes that are hardly brightness."""
        if self.span is None:
            return
        (low, high), least, most = self.span, float(found.min()), float(found.max())
        if least < 2 * low - high or most > 2 * high - low:
            line = f"the numbers go from {least:g} to {most:g}, those in training from {low:g} to {high:g}"
            warnings.warn(f"{line}{' after scaling' if self.is_scaled else ''}: in the same unit?", stacklevel=4)
        elif is_bytes and 0 < most < DARK / 255:
            line = f"no number is above {math.floor(most * 255 + 0.5)}, and all are read as brightness from 0 to 255"
            warnings.warn(f"{line}: in the same unit?", stacklevel=4)
