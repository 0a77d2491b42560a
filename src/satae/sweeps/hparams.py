"""What the runs of a sweep chose and what came of each, as TensorBoard's HParams show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.hparams.summary_v2 import Discrete, HParam, Metric, RealInterval, hparams_config_pb, hparams_pb

from satae.config.flat import SEED
from satae.config.messages import show
from satae.sweeps import event_files
from satae.sweeps.measures import COLUMNS, DEAD, FVU, SATURATED, SENSITIVITY, TOTAL
from satae.sweeps.results import FAILED, FINISHED, Result, began

SESSION, END = ".session", ".end"  # how the names of our event files end
METRICS: Final = {
    FVU: "fvu (valid)",
    **{key: COLUMNS[key] for key in (SATURATED, DEAD, SENSITIVITY)},
    TOTAL: "total loss (valid)",
}
MOST_VALUES: Final = 12  # that are listed one by one
STATUS: Final = {FINISHED: api_pb2.STATUS_SUCCESS, FAILED: api_pb2.STATUS_FAILURE}


def config(choices: Sequence[Mapping[str, Any]], varied: Sequence[str]) -> Summary:
    """What varies in a sweep, and what is measured.

    Args:
        choices: of each of its runs.
        varied: what they differ in.
    """
    named = [HParam(key, _domain([_plain(one[key]) for one in choices if key in one])) for key in varied if key != SEED]
    return hparams_config_pb(named, [Metric(tag, display_name=name) for tag, name in METRICS.items()])


def show_run(run: Result, group: str) -> None:
    """Write what a run of a sweep chose, and how it ended, if it has.

    Args:
        run: as it stands.
        group: its configuration without the seed.
    """
    values, since = {key: _plain(value) for key, value in run.choices.items()}, began([run])
    begin = hparams_pb(values, trial_id=group, start_time_secs=since)
    about = begin.value[0].metadata.plugin_data  # whose order differs between processes
    about.content = plugin_data_pb2.HParamsPluginData.FromString(about.content).SerializeToString(deterministic=True)
    event_files.rewrite(run.directory, SESSION, event_files.encoded([Event(summary=begin)], since))
    end = [Event(summary=_ending(STATUS[run.status]))] if run.status in STATUS else []
    event_files.rewrite(run.directory, END, event_files.encoded(end, since))


def _ending(status: int) -> Summary:
    info = plugin_data_pb2.HParamsPluginData(session_end_info=plugin_data_pb2.SessionEndInfo(status=status))
    about = metadata.create_summary_metadata(info)
    return Summary(
        value=[Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=about, tensor=metadata.NULL_TENSOR)]
    )


def _domain(values: Iterable[Any]) -> Discrete | RealInterval:
    found = sorted(set(values), key=lambda value: (isinstance(value, str), value))
    if len({isinstance(value, str) for value in found}) > 1:
        found = [show(value) for value in found]
    if len(found) > MOST_VALUES and not isinstance(found[0], str | bool):
        return RealInterval(float(found[0]), float(found[-1]))
    return Discrete([float(value) if type(value) is int else value for value in found])


def _plain(value: Any) -> Any:
    """A value as HParams can have it."""
    return value if isinstance(value, bool | int | float | str) else show(value)
