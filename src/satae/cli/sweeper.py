"""Hydra's sweeper, which is given the runs of a sweep instead of words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.plugins import Plugins


@contextmanager
def handed(jobs: Sequence[Sequence[str]]) -> Iterator[None]:
    """Have Hydra's sweeper make these runs, which are composed and checked, not those that it would take from words.

    Args:
        jobs: the overrides of each.
    """
    # Hydra loads its plugins once more, under the same names
    sweeper: Any = Plugins.instance().class_name_to_class[f"{BasicSweeper.__module__}.{BasicSweeper.__name__}"]
    split, in_parts = sweeper.__dict__["split_arguments"], sweeper.split_overrides_to_chunks
    sweeper.split_arguments = staticmethod(lambda words, most: list(in_parts([[*job] for job in jobs], most)))
    sweeper.validate_batch_is_legal = lambda self, batch: None
    try:
        yield
    finally:
        sweeper.split_arguments = split
        del sweeper.validate_batch_is_legal  # the one of the class above
