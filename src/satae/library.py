"""The runs of ``satae-train`` in Python: ``satae.train(alpha=0.1, act="relu")``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from inspect import Signature
    from pathlib import Path

    import numpy as np

    from satae.cli.jobs import Job
    from satae.model.autoencoder import DenoisingAutoencoder

OF_SWEEPS: Final = ("sweep", "fail_fast")
OPTION_NAME: Final = re.compile(r"[a-z]\w*(\.\w+)*", re.ASCII)
PLAIN_TEXT: Final = re.compile(r"(?!(?:true|false|null|nan|inf)$)[a-z_][\w./]*", re.ASCII | re.IGNORECASE)


class Run(NamedTuple):
    """A run that has finished."""

    model: DenoisingAutoencoder  # with the last weights, in evaluation mode, on the CPU
    metrics: dict[str, float]  # of the last epoch, with the speed and the wall time
    history: list[dict[str, float]]  # the metrics of each epoch, with its number under "epoch"
    directory: Path
    notes: list[str]  # what was assumed about the data, or changed in them

    def __repr__(self) -> str:
        """The number of epochs and the directory."""
        return f"<run of {len(self.history)} epochs in {self.directory}>"


def train(
    *,
    data: Any = None,
    options: Mapping[str, Any] | None = None,
    directory: str | os.PathLike[str] | None = None,
    config_dir: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **words: Any,
) -> Run:
    """Train one autoencoder, as ``satae-train`` does with the same words: the weights are the same, bit for bit.

    Args:
        data: the name of a data source; or examples, an array (N, D), (N, H, W), (N, H, W, C) or (N, C, H, W); or a
            tuple of examples and labels (N,). An array is read as ``data=array`` reads a file; it is written nowhere.
        options: what has a dot in its name on the command line, such as ``{"optim.lr": 0.01, "arch.widths": [64, 8]}``.
        directory: of the run; by default ``outputs/<date>/<time>``.
        config_dir: a folder with configurations of your own.
        quiet: print nothing; then warnings go to Python's logging alone.
        words: what has no dot, such as ``alpha=0.1``, ``act="tanh"`` or ``resume="outputs/first"``; None is ``null``.

    Returns:
        The run, as it is in its directory.

    Raises:
        ConfigError: something cannot be used; the message is the line of the command, and nothing has been written.
        RunFailedError: the run has failed, such as by a loss that is not finite.
        KeyboardInterrupt: Ctrl-C; the run has left a checkpoint, from which ``resume=`` continues.
    """
    from satae.data.arrays import arrays_in_memory
    from satae.signals import pause_at_interrupt

    is_named = data is None or isinstance(data, str)
    x, y = (None, None) if is_named else _read_arrays(data)
    with _own_output(quiet), nullcontext() if x is None else arrays_in_memory(x, y) as name, pause_at_interrupt():
        typed = [] if data is None else [f"data={data}"] if name is None else _data_words(name, y, words)
        typed += _typed_words(words, options or {}, {word.partition("=")[0] for word in typed})
        if directory is not None:
            typed.append(_directory_word(os.fspath(directory), words))
        shown = {**words, **({} if data is None else {"data": data if x is None else _Shown(x)})}
        shown |= {key: value for key, value in (("options", options), ("directory", directory)) if value}
        command = f"satae.train({', '.join(f'{key}={value!r}' for key, value in shown.items())})"
        flags = [] if config_dir is None else ["--config-dir", os.fspath(config_dir)]
        return _make_run([*typed, *flags], command, x is not None)


class CallableModule(ModuleType):
    """The module ``satae.train``: ``satae.train(...)`` calls :func:`train`, and its own functions stay attributes."""

    __call__ = staticmethod(train)

    @property
    def __signature__(self) -> Signature:
        """What ``inspect.signature`` and editors show."""
        from inspect import signature

        return signature(train)


class _Shown(NamedTuple):
    """An array as it stands in the record of a run."""

    array: np.ndarray

    def __repr__(self) -> str:
        return f"<array {self.array.shape} of {self.array.dtype}>"


def _make_run(words: list[str], command: str, has_arrays: bool) -> Run:
    """Make the run that the words of a command line ask for, which may name arrays in memory, and read it back."""
    from satae.cli import compose, flags, jobs, plan
    from satae.config.plugins import import_typed
    from satae.errors import ConfigError

    words = import_typed(words)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # an NVIDIA GPU cannot repeat a run exactly without
    with compose.beside_another_program():
        asked = plan.make_plan(flags.parse_flags(words), command)
    if asked.sweep is not None:
        raise ConfigError("hydra.mode=MULTIRUN: satae.train makes one run; sweeps are made by satae-train")
    (job,) = asked.jobs
    jobs.import_training()
    from satae.experiment import build
    from satae.runs import loading, record
    from satae.train import train as train_run
    from satae.training.torch_settings import restored_settings

    try:
        with restored_settings():
            if plan.check_job(job, set()) is not None:
                jobs.run_in_program(train_run, job)
            elif has_arrays:
                _check_arrays(job)
    finally:
        if has_arrays:
            build.load_data.cache_clear()  # the arrays belong to the caller
    return Run(
        loading.load(job.directory),
        record.read_final_metrics(job.directory),
        [*record.read_epochs(job.directory)],
        job.directory,
        [str(note) for note in record.read_record(job.directory).get("assumptions", [])],
    )


def _check_arrays(job: Job) -> None:
    """Refuse, by a ConfigError, other arrays than those of a run that has nothing left to train."""
    from satae.errors import ConfigError
    from satae.experiment import build, experiment
    from satae.runs.loading import read_state

    facts = read_state(job.directory).facts
    try:
        experiment.check_data(facts, build.dataset(job.config).as_seen_by(facts))
    except (KeyError, ValueError) as error:
        raise ConfigError(f"{job.directory}: was trained on other data ({error}); start over with rerun=") from None


@contextmanager
def _own_output(quiet: bool) -> Iterator[None]:
    """Print nothing if ``quiet``; else keep Python from printing a warning again that the run has printed."""
    import logging

    if quiet:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            yield
        return
    logger, handler = logging.getLogger("satae"), logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


# from Python values to the words of a command line


def _typed_words(words: Mapping[str, Any], options: Mapping[str, Any], taken: set[str]) -> list[str]:
    """The words that a user types for these values.

    Raises:
        ConfigError: a name or a value cannot stand on a command line, or is given twice.
    """
    from satae.config.schema import TRAINING
    from satae.errors import ConfigError
    from satae.messages import brief

    typed = []
    for key, value in [*words.items(), *options.items()]:
        name = str(key)
        if name in OF_SWEEPS:
            raise ConfigError(f"{name}: satae.train makes one run; call it again for each, or use satae-train")
        if name == "hydra" or name.startswith("hydra."):
            raise ConfigError(f"{name}: is for satae-train; directory= names the directory of the run")
        if not OPTION_NAME.fullmatch(name):
            raise ConfigError(f"{brief(name)}: no such option; names are such as alpha, act or optim.lr")
        if name in taken:
            raise ConfigError(f"{name}: is given twice; leave one of them out")
        taken.add(name)
        if name not in TRAINING.reserved:
            typed.append(f"{name}={_to_text(name, value)}")
        elif value is not None:
            typed.append(f"{name}={os.fspath(value) if isinstance(value, os.PathLike) else _plain(value)}")
    return typed


def _to_text(name: str, value: Any) -> str:
    """A value as Hydra reads it.

    Raises:
        ConfigError: it is of a type that no option has.
    """
    from satae.cli.typed_text import quote_value
    from satae.errors import ConfigError
    from satae.messages import brief, format_value

    value = os.fspath(value) if isinstance(value, os.PathLike) else value
    if isinstance(value, str):
        return value if PLAIN_TEXT.fullmatch(value) else quote_value(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(_to_text(name, item) for item in value)}]"
    plain = value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value  # NumPy's and torch's
    if plain is None or isinstance(plain, bool | int | float):
        return format_value(plain)
    raise ConfigError(f"{name}={brief(repr(value))}: must be a number, text, True, False, None or a list of these")


def _plain(value: Any) -> str:
    """A value of a word that is not Hydra's: true and false as on the command line, other text as it is."""
    from satae.messages import format_value

    return format_value(value)


def _directory_word(directory: str, words: Mapping[str, Any]) -> str:
    from satae.cli.overrides import RUN_FOLDER
    from satae.cli.typed_text import quote_value
    from satae.errors import ConfigError

    if words.get("resume") is not None:
        raise ConfigError(f"directory={directory}: resume= resumes in the run's own directory; leave it out")
    return f"{RUN_FOLDER}={quote_value(directory)}"


# arrays


def _read_arrays(data: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """The examples and the labels that were given.

    Raises:
        ConfigError: they are no arrays of numbers.
    """
    from satae.errors import ConfigError

    if not isinstance(data, tuple):
        return _to_array("data", data), None
    if len(data) != 2:
        raise ConfigError(f"data: has {len(data)} parts; give an array, or a tuple of examples and labels: data=(x, y)")
    x, y = data
    return _to_array("data", x), None if y is None else _to_array("the labels in data", y)


def _to_array(where: str, values: Any) -> np.ndarray:
    import numpy as np

    from satae.errors import ConfigError
    from satae.messages import brief, first_line

    try:
        if hasattr(values, "detach"):  # a tensor of torch
            values = values.detach().cpu().numpy()
        array: np.ndarray = np.asanyarray(values)
        if array.dtype.hasobject:  # a list of words, as pandas keeps it, is an array of words
            array = np.asarray(array.tolist())
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: cannot be read as an array ({first_line(error)})") from None
    if array.ndim == 0 or array.dtype.hasobject:
        raise ConfigError(f"{where}: is {brief(repr(values))}; give the name of a data source, or an array of numbers")
    return array


def _data_words(name: str, labels: np.ndarray | None, words: Mapping[str, Any]) -> list[str]:
    """The words for arrays in memory; a run that exists keeps its other options of the data."""
    from pathlib import Path

    from satae.config.saved_config import read_config
    from satae.runs.layout import CONFIG_FILE

    path = [f"data.path={name}"]
    stored = words.get("resume") or words.get("rerun")
    config = Path(os.path.expanduser(str(stored)), CONFIG_FILE)
    if stored is None or not config.is_file() or (words.get("rerun") and read_config(config).data.name != "array"):
        return ["data=array", *path]
    return [*path, *(["data.labels=null"] if labels is not None else [])]
