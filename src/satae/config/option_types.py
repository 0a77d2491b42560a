"""Annotated types of options: the type and the range stand in the signature of the function that takes the option."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

LARGEST_COUNT: Final = 2**31 - 1
LARGEST_WIDTH: Final = 10**6
LARGEST_VALUE: Final = 1e6  # of numbers that are compared with the data's own

Count = Annotated[int, Field(ge=1, le=LARGEST_COUNT)]
Width = Annotated[int, Field(ge=1, le=LARGEST_WIDTH)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Threads = Annotated[int, Field(ge=1, le=1024)]
Value = Annotated[float, Field(ge=-LARGEST_VALUE, le=LARGEST_VALUE, allow_inf_nan=False)]
Level = Annotated[float, Field(ge=0, le=LARGEST_VALUE, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
FilePath = Annotated[str, Field(min_length=1, json_schema_extra={"path": True})]  # a file or folder of the user
