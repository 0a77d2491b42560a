"""Finds out whether a sweep is continued with the same data in another place, such as a copy on the disk of a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from satae.config import Config
from satae.config.schema import EXECUTION_OPTIONS, all_path_options, is_among
from satae.messages import format_value
from satae.sweeps.results import RunResult


def first_paths(
    requested: Sequence[tuple[Config, Mapping[str, Any]]], existing: Sequence[RunResult], varied: Sequence[str]
) -> list[dict[str, str]]:
    """The names of the data in earlier runs of a sweep, for each requested run that reads the same numbers elsewhere.

    Args:
        requested: the configuration of each requested run, and the same as :func:`satae.sweeps.results.flat_choices`
            gives it.
        existing: runs that the sweep already has.
        varied: the options that the sweep varies; a file that varies is not one that was moved.

    Returns:
        For each run, by option, such as ``data.path``; empty if nothing was moved, or the numbers differ.
    """
    known = dict[tuple[str, ...], dict[tuple[str, ...], dict[tuple[str, ...], RunResult]]]()
    found = dict[tuple[tuple[str, ...], ...], dict[str, str]]()  # runs on the same data have the same answer
    answers = []
    for config, choices in requested:
        options = [name for name in choices if is_among(name, ["data"])]
        names = [name for name in options if choices[name] and name in all_path_options()]
        names = [name for name in names if not is_among(name, [*varied, *EXECUTION_OPTIONS])]
        others = [name for name in options if name not in names]
        key = (*names, "", *others)
        if key not in known:
            known[key] = _first_runs(existing, names, others)
        data, own = _texts(choices, others), _texts(choices, names)
        if (key, data, own) not in found:
            places = known[key].get(data, {}) if names else {}
            found[key, data, own] = {} if own in places else _moved_from(config, choices, names, places.values())
        answers.append(found[key, data, own])
    return answers


def _texts(choices: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(format_value(choices.get(name)) for name in names)


def _first_runs(
    existing: Sequence[RunResult], names: Sequence[str], others: Sequence[str]
) -> dict[tuple[str, ...], dict[tuple[str, ...], RunResult]]:
    """The first run of each data set and place: by the values of ``others``, then by those of ``names``."""
    found = dict[tuple[str, ...], dict[tuple[str, ...], RunResult]]()
    for run in existing:
        found.setdefault(_texts(run.choices, others), {}).setdefault(_texts(run.choices, names), run)
    return found


def _moved_from(
    config: Config, choices: Mapping[str, Any], names: Sequence[str], candidates: Iterable[RunResult]
) -> dict[str, str]:
    """The names of the data in the first candidate that read the same numbers as a configuration."""
    for run in candidates:
        moved = {name: run.choices.get(name) for name in names if run.choices.get(name) != choices[name]}
        paths = {name: path for name, path in moved.items() if isinstance(path, str) and path}
        if paths == moved and (known := recorded_fingerprint(run)) is not None and _are_same(config, run, known):
            return paths
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


def _are_same(config: Config, run: RunResult, fingerprint: str) -> bool:
    """Whether a configuration names the data of a run; not if they cannot be read, which is reported later."""
    from satae.experiment import build
    from satae.experiment.experiment import check_evaluated

    try:
        data = build.dataset(config)
        check_evaluated(run.record, data)
        return data.fingerprint == fingerprint
    except (OSError, ValueError):
        return False
