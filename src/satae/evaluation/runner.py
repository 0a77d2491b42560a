"""Evaluates runs one after another. A part is measured once, and again only if something has changed."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from satae import atomic_write, signals
from satae.config import ConfigError, plugins
from satae.config.registry import EVALUATION_PARTS
from satae.config.schema import Evaluation
from satae.evaluation.part import EvaluationPart
from satae.evaluation.result import Cell, Key, PartResult, describe_replaced, read_if_current, write_result
from satae.evaluation.result_printer import Headlines, ResultPrinter, headline_tables
from satae.evaluation.subject import Subject, TrainedRun, choose_device
from satae.loggers.tensorboard_logger import tensorboard_command
from satae.messages import count_words, one_line, quote_word
from satae.runs import provenance
from satae.runs.layout import EVALUATION_FOLDER, FINISHED, shorten, show_path
from satae.runs.locks import lock_directory
from satae.runs.record import read_record
from satae.signals import Interrupted
from satae.training import torch_settings

RESUME_HINT: Final = "; type the same line again to resume: finished parts and finished attacks are kept"
UNIT_NOTE: Final = "noise, lengths, epsilon and errors are in units of the range of each column"
SHARED_SETTINGS: Final = ("best", "split", "samples", "seed")  # no result depends on device, threads or batch size


def evaluate_runs(
    runs: Sequence[Path], chosen: Evaluation, folders: Sequence[Path], paths: Mapping[str, str] | None = None
) -> str:
    """Measure the chosen parts of each run and print them; for several runs print a table of each part.

    Args:
        runs: directories of the runs.
        chosen: what to measure, and how.
        folders: the folders of runs and sweeps that the user named.
        paths: where the data of the runs lie now, by option, if they have moved.

    Returns:
        Lines that say where the results are.

    Raises:
        ConfigError: a run cannot be evaluated; the other runs are evaluated first.
        Interrupted: a signal arrived.
    """
    choose_device(chosen.device)  # refuse it before anything else
    torch_settings.configure_torch(chosen.threads)
    printer, headlines, refused, said = ResultPrinter(), dict[Path, Headlines](), list[str](), set[str]()
    for run in runs:
        try:
            headlines[run] = _evaluate_run(run, chosen, printer, said, paths or {}, alone=len(runs) == 1)
        except ConfigError as error:
            if len(runs) == 1:
                raise
            refused.append(show_path(run))
            printer.print_line(f"{refused[-1]}: {one_line(error)}")
    for title, columns, rows in headline_tables(headlines) if len(runs) > 1 else ():
        printer.print_line(f"\n{title}")
        printer.print_table(columns, rows)
    if refused:
        raise ConfigError(f"{len(refused)} of {len(runs)} runs could not be evaluated: {', '.join(refused)}")
    return _where_results_are(runs, folders)


def _where_results_are(runs: Sequence[Path], folders: Sequence[Path]) -> str:
    home = Path(os.path.commonpath(runs))
    each = f"{EVALUATION_FOLDER}/ in each run: tables, notes and all figures"
    here = show_path(home / EVALUATION_FOLDER) if len(runs) == 1 else each
    lines = {
        "results": here,
        "pictures": f"{here}/*.png" if len(runs) == 1 else f"{EVALUATION_FOLDER}/*.png in each run",
        "TensorBoard": tensorboard_command(home),
        "page": " ".join(["satae-report", *(quote_word(shorten(folder)) for folder in folders)]),
    }
    return "\n".join(f"{name:{len('TensorBoard')}}  {line}" for name, line in lines.items())


def build_part(name: str, chosen: Evaluation) -> EvaluationPart:
    """A part with its options.

    Raises:
        ConfigError: the options do not fit together.
    """
    try:
        part: EvaluationPart = EVALUATION_PARTS[name].build(**chosen.parts[name].options)
    except ValueError as error:
        raise ConfigError(f"{name}.{error}") from None
    return part


def _evaluate_run(
    run: Path, chosen: Evaluation, printer: ResultPrinter, said: set[str], paths: Mapping[str, str], alone: bool
) -> Headlines:
    """Measure and print the chosen parts of a run; returns their headlines.

    What must be left out is printed first, unless it was ``said`` for another run.
    """
    trained = TrainedRun.read(run, chosen.best, chosen.ema).with_data_at(paths)
    parts = {name: build_part(name, chosen) for name in chosen.parts}
    for name, part in parts.items():
        try:
            part.check(trained)
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(f"{name}.{error}") from None
    weights, folder = trained.fingerprint(), run / EVALUATION_FOLDER
    subject = Subject.of(trained, chosen)
    origin = {
        "weights": weights,
        "inputs": subject.inputs_fingerprint(),
        "data": subject.training_data_fingerprint(),
        **provenance.program_version(),
    }
    made_by = {name: plugins.digests([*trained.config.choices, (EVALUATION_PARTS.group, name)]) for name in parts}
    shared = {option: getattr(chosen, option) for option in SHARED_SETTINGS}
    shared |= {"ema": True} if chosen.ema else {}  # results of earlier versions do not have it
    keys = {
        name: {"part": name, **shared, name: chosen.parts[name].options, **origin, **made_by[name]} for name in parts
    }
    known = {name: read_if_current(folder, name, key) for name, key in keys.items()}
    measures_something = None in known.values()
    inputs = "test input" if chosen.split == "test" else "validation input"
    on = f"{count_words(len(subject.x), inputs)}, seed {chosen.seed}"
    missing = {name: part.find_missing(subject) for name, part in parts.items()}
    for name, part in parts.items():
        if "" in missing[name] and not chosen.is_all:
            track: Any = iter  # nothing can be measured: it is quick
            _check_measured(name, part.measure(subject, track), chosen)
    for line in _describe_run(trained, weights, on):
        printer.print_line(line)
    for line in _describe_missing(missing):
        if line not in said:
            printer.print_line(f"left out: {line}")
            said.add(line)
    if measures_something:
        atomic_write.make_folder(folder)
    headlines = dict[str, Mapping[str, Cell]]()
    with lock_directory(folder) if measures_something else nullcontext():
        for name, stored in known.items():
            if alone:
                printer.print_line(name if stored is None else f"{name}: already measured")
            result = stored or _measure(name, parts[name], subject, chosen, printer, folder, keys[name])
            _check_measured(name, result, chosen)
            if alone:
                printer.print_result(result)
            else:
                printer.print_headline(name, result, "" if stored is None else "  (already measured)")
            headlines[name] = result.headline
    return headlines


def _measure(
    name: str,
    part: EvaluationPart,
    subject: Subject,
    chosen: Evaluation,
    printer: ResultPrinter,
    folder: Path,
    key: Key,
) -> PartResult:
    """Measure a part and write its result."""
    if line := describe_replaced(folder, name, key):
        printer.print_line(f"{name} {line}")
    start = time.perf_counter()
    track: Any = functools.partial(printer.track, name)
    try:
        with signals.hold_signals():  # the progress looks for signals between two steps
            result = part.measure(subject, track)
            _check_measured(name, result, chosen)
            samples = getattr(part, "samples", 0)
            if samples > chosen.samples:
                note = f"{name}.samples={samples}: no more than samples={chosen.samples}"
                result = result._replace(notes=[*result.notes, note])
            if subject.data.columns:
                result = result._replace(notes=[*result.notes, UNIT_NOTE])
            write_result(folder, name, key, result, time.perf_counter() - start)
    except Interrupted as error:
        raise Interrupted(error.number, RESUME_HINT) from None
    return result


def _check_measured(name: str, result: PartResult, chosen: Evaluation) -> None:
    """Refuse a part that the user named if nothing of it can be measured.

    Raises:
        ConfigError: nothing was measured.
    """
    if not (result.tables or chosen.is_all):
        raise ConfigError(f"evaluation={name}: {'; '.join(result.notes)}")


def _describe_missing(missing: Mapping[str, Mapping[str, str]]) -> list[str]:
    """What cannot be measured, a line for each reason: ``"defence, code probes: the data have no labels"``."""
    by_reason = dict[str, list[str]]()
    for name, faults in missing.items():
        for what, why in faults.items():
            by_reason.setdefault(why, []).append(f"{name} {what}".rstrip())
    return [f"{', '.join(whats)}: {why}" for why, whats in by_reason.items()]


def _describe_run(run: TrainedRun, weights: str, on: str) -> list[str]:
    """Two lines that name a run, its weights and the inputs; each fits into 80 letters unless a name is long."""
    config, kind = run.config, "best weights" if run.best else "averaged weights" if run.ema else "weights"
    status = read_record(run.directory)["status"]
    more = "" if status == FINISHED else f"; the run has not finished ({status})"
    level = getattr(config.noise, "level", None)
    noise = "no noise" if config.noise.name == "none" else f"{config.noise.name} noise"
    return [
        f"{show_path(run.directory)}: {config.data.name}, {config.arch.name}, {config.act.name}, alpha"
        f" {config.alpha:g}, {noise}{'' if level is None else f' {level:g}'}{more}",
        f"  {kind} {weights[:12]} at step {run.state.step:,}; {on}",
    ]
