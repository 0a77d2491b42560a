"""Finds out whether a sweep is continued with the same data in another place, such as a copy on the disk of a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from satae.config import Config
from satae.config.schema import EXECUTION_OPTIONS, all_path_options, is_among
from satae.sweeps.results import RunResult


def first_paths(
    config: Config, choices: Mapping[str, Any], existing: Sequence[RunResult], varied: Sequence[str]
) -> dict[str, str]:
    """The names of the data in earlier runs of a sweep, if a requested run reads the same numbers from other files.

    Args:
        config: the configuration of the requested run.
        choices: the same, as :func:`satae.sweeps.results.flat_choices` gives it.
        existing: runs that the sweep already has.
        varied: the options that the sweep varies; a file that varies is not one that was moved.

    Returns:
        By option, such as ``data.path``; empty if nothing was moved, or the numbers differ.
    """
    candidates = dict[tuple[tuple[str, str], ...], RunResult]()
    names = [name for name, path in choices.items() if path and name.startswith("data.") and name in all_path_options()]
    names = [name for name in names if not is_among(name, [*varied, *EXECUTION_OPTIONS])]
    others = [name for name in choices if is_among(name, ["data"]) and name not in names]
    for run in existing:
        if not names or any(run.choices.get(name) != choices[name] for name in others):
            continue
        moved = {name: run.choices.get(name) for name in names if run.choices.get(name) != choices[name]}
        if not moved:
            return {}
        if all(isinstance(path, str) and path for path in moved.values()):
            candidates.setdefault(tuple((name, str(path)) for name, path in moved.items()), run)
    for paths, run in candidates.items():
        if (known := recorded_fingerprint(run)) is not None and known == _fingerprint(config):
            return dict(paths)
    return {}


def recorded_fingerprint(run: RunResult) -> str | None:
    """The fingerprint of the data of a run, from its record, or else from its newest checkpoint."""
    from satae.training.checkpoint import latest_checkpoint

    data = run.record.get("data")
    found = data.get("fingerprint") if isinstance(data, dict) else None
    if found is None:
        try:
            state = latest_checkpoint(run.directory)
            found = state.facts.get("data") if state else None
        except (OSError, ValueError):
            return None
    return found if isinstance(found, str) else None


def _fingerprint(config: Config) -> str | None:
    """The fingerprint of the data that a configuration names; None if they cannot be read, which is reported later."""
    from satae.experiment import build

    try:
        return build.dataset(config).fingerprint
    except (OSError, ValueError):
        return None
