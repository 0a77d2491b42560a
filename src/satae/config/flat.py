"""A configuration as words are typed: ``{"act": "relu", "alpha": 0.1, "noise": "gaussian", "noise.level": 0.3}``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

APART: Final = ("device", "threads", "compile", "checkpoint", "data.dir")  # say how a run is computed, not what it is
SEED: Final = "seed"  # says which draw it is, not which configuration


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """The choice in a group by the group's name, all else by its path."""
    return dict(_leaves(config))


def is_among(key: str, options: Iterable[str]) -> bool:
    """Whether a key of a flat configuration is one of some options, or one of theirs."""
    return any(key == option or key.startswith(f"{option}.") for option in options)


def _leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield (prefix[:-1] if key == "name" else f"{prefix}{key}"), value
