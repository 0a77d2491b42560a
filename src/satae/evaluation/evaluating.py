"""Evaluating runs, one after another: each part once, and again where something has changed."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from satae import files, interruption
from satae.config import ConfigError
from satae.config.evaluation import Evaluation
from satae.evaluation import storage
from satae.evaluation.console import Display, summary
from satae.evaluation.findings import Cell, Findings
from satae.evaluation.parts import PARTS
from satae.evaluation.subject import Subject, Trained, device_of, digest
from satae.interruption import Interrupted
from satae.run_directory import EVALUATION, FINISHED, shorten
from satae.tracking import provenance, reading
from satae.tracking.lock import locked
from satae.training import engine

KEPT: Final = "; type the same line again to go on: the parts that were measured are kept"
SHARED: Final = ("best", "split", "samples", "seed")  # settings that every part depends on


def evaluate(runs: Sequence[Path], chosen: Evaluation) -> str:
    """Measure what is asked for of each run, and show it; a line that says where the results are.

    Args:
        runs: their directories.
        chosen: what to measure, and how.

    Raises:
        ConfigError: one of them cannot be evaluated; of several, the others are.
        Interrupted: a signal asked for it.
    """
    device_of(chosen.device)  # refused before anything else
    engine.prepare(chosen.threads)
    display, headlines, refused = Display(), dict[str, dict[str, Cell]](), dict[str, str]()
    for run in runs:
        name = str(shorten(run))
        try:
            headlines[name] = _evaluate(run, chosen, display)
        except ConfigError as error:
            if len(runs) == 1:
                raise
            refused[name] = str(error)
            display.say(f"{name}: {error}")
    if len(runs) > 1 and headlines:
        display.table(summary(_by_name(headlines)))
    if refused:
        raise ConfigError(f"{len(refused)} of {len(runs)} runs could not be evaluated: {', '.join(refused)}")
    return f"results: {shorten(runs[0] / EVALUATION) if len(runs) == 1 else f'{EVALUATION}/ in each run'}"


def _by_name(headlines: dict[str, dict[str, Cell]]) -> dict[str, dict[str, Cell]]:
    """By the directory's own name, where these differ, which is all that differs in a sweep."""
    short = {Path(name).name: found for name, found in headlines.items()}
    return short if len(short) == len(headlines) else headlines


def _evaluate(run: Path, chosen: Evaluation, display: Display) -> dict[str, Cell]:
    """What stands for each part of a run."""
    trained = Trained.of(run, chosen.best)
    for name in chosen.parts:
        PARTS[name].check(getattr(chosen, name), trained)
    weights, folder = trained.fingerprint(), run / EVALUATION
    subject = Subject.of(trained, chosen)
    inputs = digest(subject.inputs())  # which may be others now than those of before
    keys = {name: _key(name, chosen, weights, inputs) for name in chosen.parts}
    every = {name: storage.stored(folder, name, key) for name, key in keys.items()}
    anything = None in every.values()
    display.say(_about(trained, weights))
    if anything:
        files.make_folder(folder)
    headline = dict[str, Cell]()
    with locked(folder) if anything else nullcontext():
        for name, kept in every.items():
            display.say(name if kept is None else f"{name}: already measured")
            found = kept or _measured(name, subject, chosen, display, folder, keys[name])
            display.show(found)
            headline |= found.headline
    return headline


def _measured(
    name: str, subject: Subject, chosen: Evaluation, display: Display, folder: Path, key: storage.Key
) -> Findings:
    """A part, measured and written down."""
    began = time.perf_counter()
    track: Any = functools.partial(display.tracked, name)
    try:
        with interruption.held():  # between two steps it looks by itself, where it can be left
            found = PARTS[name].measure(subject, getattr(chosen, name), track)
            storage.write(folder, name, key, found, time.perf_counter() - began)
    except Interrupted as error:
        raise Interrupted(error.number, KEPT) from None
    return found


def _key(name: str, chosen: Evaluation, weights: str, inputs: str) -> dict[str, Any]:
    """All that the findings of a part depend on; device, threads and batches have no part in it."""
    settings = asdict(chosen)
    shared = {option: settings[option] for option in SHARED}
    return {"part": name, **shared, name: settings[name], "weights": weights, "inputs": inputs} | provenance.program()


def _about(trained: Trained, weights: str) -> str:
    """A line on the run."""
    config, kept = trained.config, "best weights" if trained.best else "weights"
    status = reading.read(trained.directory)["status"]
    more = "" if status == FINISHED else f"; the run has not finished ({status})"
    return (
        f"{shorten(trained.directory)}: {config.data.name}, {config.arch.name}, {config.act.name}, alpha"
        f" {config.alpha:g}, {config.noise.name} noise; {kept} {weights[:12]} at step {trained.state.step:,}{more}"
    )
