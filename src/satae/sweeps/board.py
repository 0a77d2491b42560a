"""A sweep in TensorBoard: what varies and what came of it (HParams), and each configuration over its seeds (bands)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from filelock import FileLock
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard.summary import custom_scalars

from satae.config.flat import SEED
from satae.loggers.tensorboard_logger import CHART_LAYOUT
from satae.runs.layout import LOCK_FILE
from satae.sweeps import configurations, event_files, hparams, notes
from satae.sweeps.bands import MEASURES, Band, bands
from satae.sweeps.groups import Group, axes
from satae.sweeps.notes import Runs
from satae.sweeps.results import Result, Unreadable, attempted, began, directories, read

FOLDER: Final = "over seeds"
ROOT, BAND = ".sweep", ".band"  # how the names of our event files end
# tags that come after those of the measures themselves; TensorBoard complains of runs that have some of a chart's, so
# the mean is there twice: the charts of the bands have no tag that the runs of single seeds have
MEAN, LOWER, UPPER = "within/{}/mean", "within/{}/lower", "within/{}/upper"
BANDS: Final = {
    "over seeds: mean and 95 % interval": {
        # TensorBoard shows charts with margins in the opposite order
        name: ["Margin", [MEAN.format(name), LOWER.format(name), UPPER.format(name)]]
        for name in reversed(MEASURES)
    }
}


def show_sweep(sweep: Path, choices: Sequence[Mapping[str, Any]]) -> None:
    """Write what varies, and the layout of the charts.

    Args:
        sweep: its folder.
        choices: of each of its runs.
    """
    varied = axes(choices)
    layout = custom_scalars({**(BANDS if SEED in varied else {}), **CHART_LAYOUT})
    content = event_files.encoded([Event(summary=hparams.config(choices, varied)), Event(summary=layout)])
    event_files.tell_anew(sweep, _over_seeds(sweep), ROOT, content)


def show_band(folder: Path, runs: Sequence[Result]) -> None:
    """Write mean and band of a configuration, as far as two seeds have come; none where they have not.

    Args:
        folder: to write to.
        runs: one for each seed.
    """
    if found := bands([run.history() for run in runs]):
        folder.mkdir(parents=True, exist_ok=True)
        # a TensorBoard that has read the file of before passes over what it had from the first epoch on
        start = Event(step=found[0].epoch, session_log=SessionLog(status=SessionLog.START))
        layout = Event(summary=custom_scalars(BANDS))  # also for who looks at the folder of the bands alone
        events = [start, layout, *(Event(step=band.epoch, summary=_summary(band)) for band in found)]
        event_files.rewrite(folder, BAND, event_files.encoded(events, began(runs)))
    elif folder.is_dir():
        _withdraw_band(folder)


def follow(run: Path) -> None:
    """Show how a run of a sweep stands, with the others of its configuration, in whatever process it is."""
    with _locked(run.parent):
        name, seeds = configurations.of(run)
        hparams.show_run(read(run), name)
        show_band(run.parent / FOLDER / name, [read(path) for path in seeds])


def grow(sweep: Path, runs: Sequence[Result], asked: Runs) -> None:
    """Show runs that are there by the names that their configurations have now, where these are others than before.

    Args:
        sweep: its folder.
        runs: that are there.
        asked: all that it is to have.
    """
    with _locked(sweep):
        named = configurations.named(runs, asked)
        if any(folder.name not in named for folder in _bands(sweep)):
            _show_groups(sweep, named)


def finish(sweep: Path) -> list[Result | Unreadable]:
    """Show all of a sweep as it stands, whatever it varied when its runs were named; all that was read of it."""
    with _locked(sweep):
        found = [attempted(path) for path in directories(sweep)]
        runs = [run for run in found if isinstance(run, Result)]
        show_sweep(sweep, [run.choices for run in runs])
        _show_groups(sweep, configurations.named(runs, notes.known(sweep).runs))
    return found


def _show_groups(sweep: Path, named: Mapping[str, Group]) -> None:
    for name, group in named.items():
        for run in group.runs:
            hparams.show_run(run, name)
        show_band(sweep / FOLDER / name, group.seeds)
    for folder in [folder for folder in _bands(sweep) if folder.name not in named]:
        _withdraw_band(folder)


def _bands(sweep: Path) -> list[Path]:
    return [path for path in _over_seeds(sweep).iterdir() if path.is_dir()]


def _withdraw_band(folder: Path) -> None:
    """Show no band in a folder any more; it goes as soon as nothing is left in it."""
    event_files.rewrite(folder, BAND, b"")
    with suppress(OSError):
        folder.rmdir()


def _summary(band: Band) -> Summary:
    values = dict[str, float]()
    for name, spread in band.spreads.items():
        values |= {name: spread.mean, MEAN.format(name): spread.mean}
        values |= {LOWER.format(name): spread.mean - spread.margin, UPPER.format(name): spread.mean + spread.margin}
    return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])


def _locked(sweep: Path) -> FileLock:
    return FileLock(_over_seeds(sweep) / LOCK_FILE)


def _over_seeds(sweep: Path) -> Path:
    (sweep / FOLDER).mkdir(exist_ok=True)
    return sweep / FOLDER
