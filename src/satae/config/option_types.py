"""Types of options: the type and the range stand in the signature of the function that takes the option.

    def shrink(*, threshold: Positive) -> nn.Module: ...

Besides the types named here, ``bool``, ``str``, ``Literal["a", "b"]``, ``list[...]`` and ``... | None`` can be used.
"""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from satae.errors import ConfigError
from satae.messages import format_value, join_words, unknown_choice

MAX_COUNT: Final = 2**31 - 1
MAX_WIDTH: Final = 10**6
MAX_VALUE: Final = 1e6  # largest number that is compared with the data's own
MAX_LAYERS: Final = 256
MAX_THREADS: Final = 1024
SINGLE_PRECISION: Final = (1.2e-38, 3.4e38)  # the smallest and the largest number that a network can use, besides 0
IN_MEMORY: Final = "memory:"  # begins the name of an array that was given in Python, in the place of a file
MISSING: Final = "???"  # in YAML: the user must give a value

Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
Width = Annotated[int, Field(ge=1, le=MAX_WIDTH)]
Widths = Annotated[Sequence[Width], Field(min_length=1, max_length=MAX_LAYERS)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Threads = Annotated[int, Field(ge=1, le=MAX_THREADS)]
Value = Annotated[float, Field(ge=-MAX_VALUE, le=MAX_VALUE, allow_inf_nan=False)]
Level = Annotated[float, Field(ge=0, le=MAX_VALUE, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
PositiveValue = Annotated[float, Field(gt=0, le=MAX_VALUE, allow_inf_nan=False)]
SpanOption = Annotated[list[Value], Field(min_length=2, max_length=2)]  # the smallest and the largest value
Share = Annotated[float, Field(ge=0, le=1)]
HalfOpenShare = Annotated[float, Field(ge=0, lt=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Reading = Literal["output", "input", "slope"]  # of f_c
Reduction = Literal["mean", "sum"]  # of the penalty
Norm = Literal["linf", "l2"]
FilePath = Annotated[str, Field(json_schema_extra={"path": True}, examples=["photos"])]  # a file or folder of the user
HubPath = Annotated[str, Field(json_schema_extra={"path": "if it exists"}, examples=["ylecun/mnist"])]  # or on the hub

TYPE_WORDS: Final[dict[str, str]] = {
    "number": "must be a number",
    "integer": "must be a whole number",
    "boolean": "must be true or false",
    "string": "must be a word",
    "integers": "must be whole numbers in brackets, such as [512,64]",
    "numbers": "must be numbers in brackets, such as [0.1,0.3]",
    "pair": "must be two numbers in brackets, such as [0,1]",
    "strings": "must be words in brackets, such as [a,b]",
}


@functools.cache
def option_types(function: Callable[..., Any]) -> Mapping[str, TypeAdapter[Any]]:
    """The options of a function (its keyword-only parameters) and their types."""
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    return {item.name: TypeAdapter(item.annotation) for item in parameters if item.kind is item.KEYWORD_ONLY}


def check_value(name: str, kind: TypeAdapter[Any], value: object) -> Any:
    """A value converted to the type of its option.

    Args:
        name: of the option, as users type it: ``"act.threshold"``.
        kind: its type.
        value: as it was composed or read.

    Raises:
        ConfigError: it has another type, or lies outside the range.
    """
    if value == MISSING:
        example = "".join(f", such as {name}={value}" for value in describe(kind).get("examples", ())[:1])
        raise ConfigError(f"{name}: is missing; give it a value{example}")
    if value == "" and describe(kind)["type"] == "string" and "enum" not in describe(kind):
        raise ConfigError(f"{name}=: is empty; give it a value, or leave it out")
    try:
        # text stands for a number (an environment variable) and may be yes or no; a number never stands for true
        has_text = any(isinstance(item, str) for item in (value if isinstance(value, list) else [value]))
        checked = kind.validate_python(value, strict=not has_text)
    except ValidationError as error:
        reason = error.errors()[0]["type"]
        raise ConfigError(_refusal(name, value, describe(kind), reason)) from None
    low, high = SINGLE_PRECISION
    numbers = [abs(item) for item in (checked if isinstance(checked, list) else [checked]) if type(item) is float]
    if not all(low <= number <= high for number in numbers if number):
        limits = f"from {low:g} to {high:g}" if low > min(filter(None, numbers)) else f"at most {high:g}"
        raise ConfigError(f"{name}={format_value(value)}: must be 0 or {limits}, which single precision can hold")
    return checked


def describe(kind: TypeAdapter[Any]) -> dict[str, Any]:
    """The JSON schema of a type, with ``nullable`` instead of a union with null."""
    schema = kind.json_schema()
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    return {**options[0], "nullable": len(schema.get("anyOf", [])) > 1}


def type_words(schema: Mapping[str, Any]) -> str:
    """What the value of an option must be: ``"must be a whole number, or null"``."""
    word = f"{schema['items']['type']}s" if schema["type"] == "array" else schema["type"]
    words = TYPE_WORDS["pair" if schema.get("maxItems") == schema.get("minItems") == 2 else word]
    return f"{words}, or null" if schema["nullable"] else words


def _refusal(name: str, value: object, schema: Mapping[str, Any], reason: str) -> str:
    """Say what is wrong with a value, from the JSON schema of its type and pydantic's word for the error."""
    choices = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
    if choices and isinstance(value, str | int | float):
        return unknown_choice(name, value, choices)
    for item in value if isinstance(value, list) else ():
        if (among := schema.get("items", {}).get("enum")) and item not in among and isinstance(item, str | int | float):
            return unknown_choice(name, item, among)
    if isinstance(value, int) and value.bit_length() >= sys.float_info.max_exp:
        return f"{name}: a number is too large; choose a smaller one"
    if reason == "too_long" and schema["maxItems"] > 2:
        return f"{name}: has {len(value)} values; give at most {schema['maxItems']}"  # type: ignore[arg-type]
    if reason == "too_short" and schema["minItems"] == 1:
        return f"{name}={format_value(value)}: give at least one value"
    if schema["type"] == "string" and not choices and isinstance(value, bool | int | float):
        read = "true or false" if isinstance(value, bool) else "a number"  # 20210101 for 2021_01_01, false for no
        return f"{name}={format_value(value)}: YAML reads {read} here, not text; put the text in quotes"
    if reason in ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number"):
        return _out_of_range(name, value, schema.get("items", schema))
    return f"{name}={format_value(value)}: {type_words(schema)}{_whole_remedy(name, value, schema)}"


def _whole_remedy(name: str, value: Any, schema: Mapping[str, Any]) -> str:
    """What to type instead of 1e3 or 2.0 where whole numbers are asked for; "" for other values."""
    is_list, is_array = isinstance(value, list), schema["type"] == "array"
    numbers = value if is_list else [value]
    is_whole = (schema["items"] if is_array else schema)["type"] == "integer" and is_list <= is_array
    if not is_whole or not all(type(n) is int or (type(n) is float and n.is_integer()) for n in numbers):
        return ""
    whole = [int(number) for number in numbers]
    return f"; write {name}={format_value(whole if is_array else whole[0])}"


def _out_of_range(name: str, value: object, schema: Mapping[str, Any]) -> str:
    """Say what is wrong with numbers outside the range in a JSON schema."""
    numbers = [float(str(number)) for number in (value if isinstance(value, list) else [value])]
    low = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf))
    high = schema.get("maximum", schema.get("exclusiveMaximum", math.inf))
    limits = [] if all(math.isfinite(number) for number in numbers) else ["finite"]
    if low > -MAX_VALUE or min(numbers) < low:
        limits.append(f"{'above' if 'exclusiveMinimum' in schema else 'at least'} {low:.10g}")
    if high < MAX_VALUE or math.inf > max(numbers) >= high:
        limits.append(f"{'below' if 'exclusiveMaximum' in schema else 'at most'} {high:.10g}")
    return f"{name}={format_value(value)}: {'each ' * isinstance(value, list)}must be {join_words(limits, 'and')}"
