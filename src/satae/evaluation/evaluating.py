"""Evaluating runs, one after another: each part once, and again where something has changed."""

from __future__ import annotations

import functools
import os
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from satae import atomic_write as files
from satae import signals
from satae.config import ConfigError
from satae.config.evaluation import Evaluation
from satae.config.messages import count_words
from satae.config.registries import EVALUATION_PARTS
from satae.evaluation import storage
from satae.evaluation.console import Display
from satae.evaluation.findings import Cell, Findings
from satae.evaluation.parts import PARTS
from satae.evaluation.subject import Subject, Trained, device_of, digest
from satae.evaluation.summary import Headlines, summaries
from satae.runs import provenance, record
from satae.runs.layout import EVALUATION_FOLDER, FINISHED, OUTPUTS_FOLDER, shorten
from satae.runs.record import lock_directory
from satae.signals import Interrupted
from satae.training import torch_settings

KEPT: Final = "; type the same line again to go on: parts that were measured, and attacks that were made, are kept"
SHARED: Final = ("best", "split", "samples", "seed")  # settings that every part depends on


def evaluate(runs: Sequence[Path], chosen: Evaluation, folders: Sequence[Path]) -> str:
    """Measure what is asked for of each run, and show it; of several, what stands for each. Lines that say where it is.

    Args:
        runs: their directories.
        chosen: what to measure, and how.
        folders: that were named, of runs and of sweeps.

    Raises:
        ConfigError: one of them cannot be evaluated; of several, the others are.
        Interrupted: a signal asked for it.
    """
    device_of(chosen.device)  # refused before anything else
    torch_settings.configure_torch(chosen.threads)
    display, headlines, refused = Display(), dict[Path, Headlines](), list[str]()
    for run in runs:
        try:
            headlines[run] = _evaluate(run, chosen, display, alone=len(runs) == 1)
        except ConfigError as error:
            if len(runs) == 1:
                raise
            refused.append(str(shorten(run)))
            display.say(f"{refused[-1]}: {error}")
    for title, columns, rows in summaries(headlines) if len(runs) > 1 else ():
        display.say(f"\n{title}")
        display.table(columns, rows)
    if refused:
        raise ConfigError(f"{len(refused)} of {len(runs)} runs could not be evaluated: {', '.join(refused)}")
    return _ending(runs, folders)


def _ending(runs: Sequence[Path], folders: Sequence[Path]) -> str:
    """Where everything is."""
    home = shorten(Path(os.path.commonpath(runs)))
    each = f"{EVALUATION_FOLDER}/ in each run: tables, notes and all figures"
    here = str(home / EVALUATION_FOLDER) if len(runs) == 1 else each
    board = OUTPUTS_FOLDER if home.parts[:1] == (OUTPUTS_FOLDER,) else str(home)
    lines = {
        "results": here,
        "pictures": f"{here}/*.png" if len(runs) == 1 else f"{EVALUATION_FOLDER}/*.png in each run",
        "TensorBoard": shlex.join(["tensorboard", "--logdir", board]),
        "page": shlex.join(["satae-report", *(str(shorten(folder)) for folder in folders)]),
    }
    return "\n".join(f"{name:{len('TensorBoard')}}  {line}" for name, line in lines.items())


def _evaluate(run: Path, chosen: Evaluation, display: Display, alone: bool) -> Headlines:
    """What stands for each part of a run."""
    trained = Trained.of(run, chosen.best)
    for name in chosen.parts:
        PARTS[name].check(EVALUATION_PARTS.build(chosen.parts[name]), trained)
    weights, folder = trained.fingerprint(), run / EVALUATION_FOLDER
    subject = Subject.of(trained, chosen)
    inputs = digest(subject.inputs())  # which may be others now than those of before
    made_of = {"weights": weights, "inputs": inputs, "data": subject.learnt_from(), **provenance.program_version()}
    keys = {name: _key(name, chosen) | made_of for name in chosen.parts}
    every = {name: storage.stored(folder, name, key) for name, key in keys.items()}
    anything = None in every.values()
    on = f"{count_words(len(subject.x), 'input')} of the {chosen.split} split, seed {chosen.seed}"
    display.say(f"{_about(trained, weights)}; {on}")
    if anything:
        files.make_folder(folder)
    headlines = dict[str, Mapping[str, Cell]]()
    with lock_directory(folder) if anything else nullcontext():
        for name, kept in every.items():
            if alone:
                display.say(name if kept is None else f"{name}: already measured")
            found = kept or _measured(name, subject, chosen, display, folder, keys[name])
            _check_there(name, found, chosen)
            if alone:
                display.show(found)
            else:
                display.brief(name, found, "" if kept is None else "  (already measured)")
            headlines[name] = found.headline
    return headlines


def _measured(
    name: str, subject: Subject, chosen: Evaluation, display: Display, folder: Path, key: storage.Key
) -> Findings:
    """A part, measured and written down."""
    if line := storage.replaced(folder, name, key):
        display.say(f"{name} {line}")
    began = time.perf_counter()
    track: Any = functools.partial(display.tracked, name)
    try:
        with signals.hold_signals():  # between two steps it looks by itself, where it can be left
            found = PARTS[name].measure(subject, EVALUATION_PARTS.build(chosen.parts[name]), track)
            _check_there(name, found, chosen)
            found = found._replace(notes=[*found.notes, *_limited(name, chosen)])
            storage.write(folder, name, key, found, time.perf_counter() - began)
    except Interrupted as error:
        raise Interrupted(error.number, KEPT) from None
    return found


def _check_there(name: str, found: Findings, chosen: Evaluation) -> None:
    """Refuse a part that is asked for by its name, and of which nothing can be measured here.

    Raises:
        ConfigError: it is one.
    """
    if not (found.tables or chosen.is_all):
        raise ConfigError(f"evaluation={name}: {'; '.join(found.notes)}")


def _limited(name: str, chosen: Evaluation) -> list[str]:
    """A word of it, where a part is to have more inputs than there are for all parts."""
    asked = chosen.parts[name].options.get("samples", 0)
    return [f"{name}.samples={asked}: no more than samples={chosen.samples}"] if asked > chosen.samples else []


def _key(name: str, chosen: Evaluation) -> dict[str, Any]:
    """All that is chosen for a part; device, threads and batches have no part in it."""
    shared = {option: getattr(chosen, option) for option in SHARED}
    return {"part": name, **shared, name: chosen.parts[name].options}


def _about(trained: Trained, weights: str) -> str:
    """A line on the run."""
    config, kept = trained.config, "best weights" if trained.best else "weights"
    status = record.read_record(trained.directory)["status"]
    more = "" if status == FINISHED else f"; the run has not finished ({status})"
    return (
        f"{shorten(trained.directory)}: {config.data.name}, {config.arch.name}, {config.act.name}, alpha"
        f" {config.alpha:g}, {config.noise.name} noise; {kept} {weights[:12]} at step {trained.state.step:,}{more}"
    )
