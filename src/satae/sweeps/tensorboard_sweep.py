"""A sweep in TensorBoard: what varies and what it leads to (HParams), and each configuration over its seeds (bands).

Runs whose logger is not TensorBoard are left out.
"""

from __future__ import annotations

import functools
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.hparams.summary_v2 import Discrete, HParam, Metric, RealInterval, hparams_config_pb, hparams_pb
from torch.utils.tensorboard.summary import custom_scalars

from satae.config.registry import LOGGERS
from satae.config.schema import SEED
from satae.loggers.tensorboard_logger import CHART_LAYOUT, encode_events, replace_events, replace_settings
from satae.messages import brief_line, format_value
from satae.runs.layout import BANDS_FOLDER, FAILED, FINISHED, MANIFEST_FILE, RECORD_FILE
from satae.runs.locks import acquire_lock
from satae.sweeps.aggregate import SeedGroup, SeedStatistics, group_runs, statistics_by_epoch, varying_keys
from satae.sweeps.manifest import RunIndex, read_manifest_or_empty
from satae.sweeps.results import RunResult, UnreadableRun, earliest_start, read_run, read_runs
from satae.training.metric_titles import DEAD, FVU, SATURATED, SENSITIVITY, TOTAL, column_title, possible_values

SWEEP_SUFFIX, BAND_SUFFIX, SESSION_SUFFIX, END_SUFFIX = ".sweep", ".band", ".session", ".end"  # of event files
BAND_METRICS: Final = (FVU, SATURATED, DEAD, TOTAL, "valid/reconstruction", "train/fvu")
# a band has its mean twice: under the name of the metric, beside the runs, and under a name of its own, since
# TensorBoard complains about runs that have only some of the tags of a chart
MEAN_TAG, LOWER_TAG, UPPER_TAG = "within/{}/mean", "within/{}/lower", "within/{}/upper"
BAND_LAYOUT: Final = {
    "over seeds: mean and 95 % interval": {
        # TensorBoard shows charts with margins in the opposite order
        name: ["Margin", [MEAN_TAG.format(name), LOWER_TAG.format(name), UPPER_TAG.format(name)]]
        for name in reversed(BAND_METRICS)
    }
}
HPARAMS_METRICS: Final = (FVU, SATURATED, DEAD, SENSITIVITY, TOTAL)
HPARAMS_STATUS: Final = {FINISHED: api_pb2.STATUS_SUCCESS, FAILED: api_pb2.STATUS_FAILURE}
MAX_LISTED_VALUES: Final = 12  # a number with more values is shown as an interval
LIVE_SEEDS: Final = 20  # with more, a band changes only after some further seeds: each time, it reads all seeds
ONLY_CONFIGURATION: Final = "all"  # the name of the configuration in a sweep that varies nothing but the seed

log = logging.getLogger(__name__)


def start_sweep(sweep: Path, choices: Sequence[Mapping[str, Any]], index: RunIndex) -> None:
    """Show what the runs of a sweep choose, before new runs start.

    Existing runs get the names that their configurations have now, if the sweep varies more options than before.

    Args:
        sweep: folder of the sweep.
        choices: the choices of each requested run.
        index: all runs that the sweep is asked to have.

    Raises:
        ConfigError: an existing run cannot be read.
        OSError: something cannot be written.
    """
    existing = read_runs(sweep)
    shown = [one for one in [*(run.choices for run in existing), *choices] if writes_events(one)]
    if not shown:
        return
    _show_settings(sweep, shown)
    with _sweep_lock(sweep):
        groups = _named_groups([run for run in existing if writes_events(run.choices)], index)
        if any(folder.name not in groups for folder in _band_folders(sweep)):
            _show_groups(sweep, groups)


def update_run(directory: Path) -> None:
    """Show how a run of a sweep stands, and the band of its configuration; a failure is logged, never raised."""
    if not (directory / RECORD_FILE).exists():
        return
    try:
        if not writes_events(read_run(directory).choices):
            return
        with _sweep_lock(directory.parent):
            name, seeds = _configuration_of(directory)
            _show_run(read_run(directory), name)
            if len(seeds) % max(1, len(seeds) // LIVE_SEEDS) == 0:
                runs = [run for run in map(read_run, seeds) if writes_events(run.choices)]
                show_band(directory.parent / BANDS_FOLDER / name, runs)
    except Exception as error:  # the directory of another run can hold anything
        log.warning("not shown beside the other runs of its sweep: %s", brief_line(error) or type(error).__name__)


def show_sweep(sweep: Path, found: Sequence[RunResult | UnreadableRun]) -> None:
    """Show all runs of a sweep, when the last one has ended; a failure is printed, never raised."""
    runs = [run for run in found if isinstance(run, RunResult) and writes_events(run.choices)]
    if not runs:
        return
    try:
        _show_settings(sweep, [run.choices for run in runs])
        with _sweep_lock(sweep):
            _show_groups(sweep, _named_groups(runs, read_manifest_or_empty(sweep).runs))
    except Exception as error:  # the files of runs can hold anything
        reason = brief_line(error) or type(error).__name__
        print(f"not shown in TensorBoard, or not all of it: {reason}", file=sys.stderr)  # noqa: T201


def show_band(folder: Path, runs: Sequence[RunResult]) -> None:
    """Write mean and confidence band of a configuration for every epoch that at least two seeds have finished.

    Args:
        folder: folder of the band.
        runs: one run for each seed.
    """
    epochs = statistics_by_epoch([run.epochs() for run in runs], BAND_METRICS)
    if epochs:
        folder.mkdir(parents=True, exist_ok=True)
        # makes a TensorBoard that has read the earlier file drop everything from the first epoch on
        start = Event(step=min(epochs), session_log=SessionLog(status=SessionLog.START))
        layout = Event(summary=custom_scalars(BAND_LAYOUT))  # for a TensorBoard on the folder of the bands alone
        bands = [Event(step=epoch, summary=_band_summary(found)) for epoch, found in epochs.items()]
        replace_events(folder, BAND_SUFFIX, encode_events([start, layout, *bands], earliest_start(runs)))
    elif folder.is_dir():
        _remove_band(folder)


def writes_events(choices: Mapping[str, Any]) -> bool:
    """Whether TensorBoard shows a run with these choices; early versions had no choice of a logger."""
    logger = choices.get("logger", "tensorboard")
    return logger in LOGGERS.names() and bool(LOGGERS[logger].tags.get("writes_events"))


def _show_settings(sweep: Path, choices: Sequence[Mapping[str, Any]]) -> None:
    """Write what varies, and the layout of the charts."""
    varied = varying_keys(choices)
    shown = [_hparams_values(one) for one in choices]
    values = {key: [one[key] for one in shown if key in one] for key in varied if key != SEED}
    settings = hparams_config_pb(
        [HParam(key, _domain(of_key)) for key, of_key in values.items() if of_key],
        [Metric(tag, display_name=column_title(tag)) for tag in HPARAMS_METRICS],
    )
    layout = custom_scalars({**(BAND_LAYOUT if SEED in varied else {}), **CHART_LAYOUT})
    content = encode_events([Event(summary=settings), Event(summary=layout)])
    replace_settings(sweep, _make_bands_folder(sweep), SWEEP_SUFFIX, content)


def _show_groups(sweep: Path, groups: Mapping[str, SeedGroup]) -> None:
    for name, group in groups.items():
        for run in group.runs:
            _show_run(run, name)
        show_band(sweep / BANDS_FOLDER / name, group.one_per_seed)
    for folder in _band_folders(sweep):
        if folder.name not in groups:
            _remove_band(folder)


def _show_run(run: RunResult, configuration: str) -> None:
    """Write what a run chose, and how it ended if it has; seeds of one configuration form one session group."""
    values, started = _hparams_values(run.choices), earliest_start([run])
    session = hparams_pb(values, trial_id=configuration, start_time_secs=started)
    data = session.value[0].metadata.plugin_data  # its order differs between processes
    data.content = plugin_data_pb2.HParamsPluginData.FromString(data.content).SerializeToString(deterministic=True)
    replace_events(run.directory, SESSION_SUFFIX, encode_events([Event(summary=session)], started))
    end = list[Event]()
    if run.status in HPARAMS_STATUS:
        status = plugin_data_pb2.SessionEndInfo(status=HPARAMS_STATUS[run.status])
        about = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=status))
        value = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=about, tensor=metadata.NULL_TENSOR)
        end.append(Event(summary=Summary(value=[value])))
    replace_events(run.directory, END_SUFFIX, encode_events(end, started))


def _named_groups(runs: Sequence[RunResult], index: RunIndex) -> dict[str, SeedGroup]:
    """The existing runs by configuration, with the names that TensorBoard shows.

    Args:
        runs: existing runs.
        index: all runs that the sweep is asked to have; a configuration takes its longest name.
    """
    names = dict[str, str]()
    for seeds in filter(None, index.values()):
        names |= dict.fromkeys(seeds.values(), _longest(map(_without_seed, seeds.values())))
    found = dict[str, SeedGroup]()
    for group in group_runs(runs):
        name = _longest(names.get(run.name) or _without_seed(run.name) for run in group.runs)
        found[f"{name},{len(found)}" if name in found else name] = group
    return found


def _configuration_of(directory: Path) -> tuple[str, list[Path]]:
    """The name of a run's configuration, and the directories of all its seeds that have started."""
    sweep = directory.parent
    seeds = _seeds_by_name(sweep, _file_state(sweep / MANIFEST_FILE)).get(directory.name)
    if seeds is None:  # sweeps of early versions have no index
        seeds = [path.name for path in sweep.iterdir() if _without_seed(path.name) == _without_seed(directory.name)]
    started = [sweep / name for name in sorted(seeds) if (sweep / name / RECORD_FILE).is_file()]
    return _longest(map(_without_seed, seeds)), started


@functools.lru_cache(maxsize=1)  # a process makes many runs of one sweep
def _seeds_by_name(sweep: Path, state: object) -> dict[str, list[str]]:
    """For each run name, the names of all seeds of its configuration; ``state`` changes with the manifest."""
    index = read_manifest_or_empty(sweep).runs
    return {name: names for seeds in index.values() if (names := [*seeds.values()]) for name in names}


def _file_state(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is replaced; None without a file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _without_seed(run_name: str) -> str:
    """The part of a run's name that says its configuration; never ``.`` or ``..``, since it names a folder."""
    name = re.sub(rf"(^|,){SEED}=[^,]*", "", run_name).lstrip(",")
    return name if name.strip(".") else ONLY_CONFIGURATION


def _longest(names: Iterable[str]) -> str:
    """The name that says most: the names of runs grow when a sweep varies more options."""
    return max(names, key=lambda name: (name != ONLY_CONFIGURATION, len(name), name))


def _domain(values: Iterable[Any]) -> Discrete | RealInterval:
    found = sorted(set(values), key=lambda value: (isinstance(value, str), value))
    if len({isinstance(value, str) for value in found}) > 1:
        found = [format_value(value) for value in found]
    if len(found) > MAX_LISTED_VALUES and not isinstance(found[0], str | bool):
        return RealInterval(float(found[0]), float(found[-1]))
    return Discrete([float(value) if type(value) is int else value for value in found])


def _hparams_values(choices: Mapping[str, Any]) -> dict[str, Any]:
    """The choices of a run as TensorBoard can show them; null is a missing value, which any column can have.

    All values of a column must be of one type: TensorBoard cannot sort text among numbers, nor find it by a filter.
    """
    kinds = bool | int | float | str
    shown = {key: value if isinstance(value, kinds) else format_value(value) for key, value in choices.items()}
    return {key: value for key, value in shown.items() if choices[key] is not None}


def _band_summary(statistics: Mapping[str, SeedStatistics]) -> Summary:
    values = dict[str, float]()
    for name, found in statistics.items():
        values |= {name: found.mean, MEAN_TAG.format(name): found.mean}
        low, high = possible_values(name)
        values[LOWER_TAG.format(name)] = max(low, found.mean - found.margin)
        values[UPPER_TAG.format(name)] = min(high, found.mean + found.margin)
    return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])


def _band_folders(sweep: Path) -> list[Path]:
    return [path for path in _make_bands_folder(sweep).iterdir() if path.is_dir()]


def _remove_band(folder: Path) -> None:
    """Empty a band; its folder is removed as soon as nothing is left in it."""
    replace_events(folder, BAND_SUFFIX, b"")
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def _sweep_lock(sweep: Path) -> Iterator[None]:
    """Wait for the lock of the bands of a sweep, and hold it."""
    lock = acquire_lock(_make_bands_folder(sweep), -1)
    try:
        yield
    finally:
        lock.release()


def _make_bands_folder(sweep: Path) -> Path:
    (sweep / BANDS_FOLDER).mkdir(exist_ok=True)
    return sweep / BANDS_FOLDER
