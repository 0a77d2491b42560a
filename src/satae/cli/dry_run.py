"""``satae-train --dry-run``: what a command line would run, resume and skip, and about how long that would take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from satae.config.schema import EXECUTION_OPTIONS, is_among, key_of
from satae.messages import count_words, join_words, one_line, rough_duration
from satae.runs.layout import FINISHED, OUTPUTS_FOLDER, RECORD_FILE, show_path

if TYPE_CHECKING:
    from satae.cli.jobs import Job
    from satae.cli.plan import Plan
    from satae.sweeps.results import RunResult

# two runs that agree in these take about as long for an epoch; of optim, its name alone
COST_OPTIONS: Final = ("arch", "act", "data", "noise", "batch_size", "precision", "compile", "device", "decoder_norm")
MAX_READ: Final = 200  # runs in outputs/ that are read for a forecast, the newest ones
SERIAL_LAUNCHER: Final = "BasicLauncher"


class PlannedJob(NamedTuple):
    """What would become of a run."""

    job: Job
    epochs_done: int | None  # None if nothing is left to train
    is_checked: bool = True  # whether its data could be read

    @property
    def epochs_left(self) -> int:
        """The epochs that would be trained."""
        return 0 if self.epochs_done is None else max(0, self.job.config.epochs - self.epochs_done)


class Ground(NamedTuple):
    """Finished runs from which the time of a run is estimated."""

    seconds_per_epoch: float
    source: str


def show_plan(plan: Plan, words: Sequence[str]) -> None:
    """Print what would become of each run, and about how long all would take; nothing is written.

    Args:
        plan: the runs.
        words: of the command line.

    Raises:
        ConfigError: one of the runs cannot be made.
    """
    planned = [*_check_jobs(plan)]
    lines = [] if plan.sweep is None else [f"sweep {show_path(plan.sweep)}{_named_by_time(plan, words)}"]
    lines += [] if plan.sweep is None else [plan.count_runs()]
    for each in planned:
        place = (
            each.job.directory.name if plan.sweep else f"{show_path(each.job.directory)}{_named_by_time(plan, words)}"
        )
        lines.append(f"  {_describe(each)}  {place}{_detail(each)}")
    if waiting := sum(not each.is_checked for each in planned):
        what = count_words(waiting, "run")
        lines.append(f"not checked: the data of {what}, which must be fetched or decoded first")
    lines += [*_forecast(plan, [each for each in planned if each.epochs_left])]
    lines.append("dry run: nothing has been written")
    for line in lines:
        print(f"{line[:1]}{one_line(line[1:])}")  # noqa: T201


def _check_jobs(plan: Plan) -> Iterator[PlannedJob]:
    from satae.cli.plan import check_job
    from satae.data.local_files import NotStoredError, without_writing

    said = set[str]()
    with without_writing():
        for job in plan.jobs:
            if job.is_done:
                yield PlannedJob(job, None)
                continue
            try:
                yield PlannedJob(job, check_job(job, said))
            except NotStoredError:
                yield PlannedJob(job, 0, is_checked=False)


def _describe(planned: PlannedJob) -> str:
    if planned.epochs_done is None:
        return "skip  "
    return "resume" if planned.job.resume else "new   "


def _detail(planned: PlannedJob) -> str:
    from satae.runs.record import read_record

    if planned.epochs_done is None:
        is_finished = read_record(planned.job.directory)["status"] == FINISHED
        return f"  ({FINISHED if is_finished else 'diverged'})"
    if planned.job.resume and planned.is_checked:
        return f"  (after {planned.epochs_done} of {count_words(planned.job.config.epochs, 'epoch')})"
    return ""


def _named_by_time(plan: Plan, words: Sequence[str]) -> str:
    from satae.cli.overrides import RUN_FOLDER, SWEEP_FOLDER

    naming = {"resume", RUN_FOLDER} if plan.sweep is None else {"sweep", SWEEP_FOLDER}
    return "" if naming & {*map(key_of, words)} else " (named by the time at which it starts)"


def _forecast(plan: Plan, planned: Sequence[PlannedJob]) -> Iterator[str]:
    """About how long the runs take together, as far as finished runs say it."""
    from satae.sweeps.results import flat_choices

    if not planned:
        return
    of_sweep = [*_finished_runs([plan.sweep])] if plan.sweep else []
    elsewhere: list[RunResult] | None = None
    seconds, sources, unknown = 0.0, dict[str, None](), 0
    for each in planned:
        cost = _cost(flat_choices(each.job.config))
        ground = _ground([run for run in of_sweep if _cost(run.choices) == cost], "of the same network in this sweep")
        ground = ground or _ground(of_sweep, "of other networks in this sweep")
        if ground is None:
            folders = [Path(OUTPUTS_FOLDER), *sorted(Path(OUTPUTS_FOLDER).glob("*/"))]
            elsewhere = [*_finished_runs(folders)] if elsewhere is None else elsewhere
            same = [run for run in elsewhere if _cost(run.choices) == cost]
            ground = _ground(same, f"of the same network in {OUTPUTS_FOLDER}/")
        if ground is None:
            unknown += 1
            continue
        seconds += ground.seconds_per_epoch * each.epochs_left
        sources[ground.source] = None
    if unknown == len(planned):
        yield f"time: no forecast, since no finished run of the same network is in {OUTPUTS_FOLDER}/"
        return
    some = f" for {len(planned) - unknown} of {count_words(len(planned), 'run')}" if unknown else ""
    one_by_one = "" if len(planned) == 1 else ", one run after another"
    yield f"time: about {rough_duration(seconds)}{some}{one_by_one}"
    yield f"      judged by {join_words(sources, 'and')}"
    if len(planned) > 1 and plan.sweep and SERIAL_LAUNCHER not in plan.first.launcher_options(plan.sweep)["_target_"]:
        yield "      (the launcher makes several runs at once, which takes less)"


def _ground(runs: Sequence[RunResult], where: str) -> Ground | None:
    """The mean time of an epoch in some finished runs; None without any."""
    times = [run.record["wall_s"] / run.choices["epochs"] for run in runs]
    return Ground(fmean(times), f"{count_words(len(runs), 'finished run')} {where}") if runs else None


def _finished_runs(folders: Iterable[Path]) -> Iterator[RunResult]:
    """The newest finished runs directly inside some folders whose records say how long they took."""
    from satae.sweeps.results import RunResult, try_read_run

    records = [record for folder in folders for record in folder.glob(f"*/{RECORD_FILE}")]
    for record in islice(sorted(records, key=_modification_time, reverse=True), MAX_READ):
        run = try_read_run(record.parent)
        if not isinstance(run, RunResult) or not run.is_finished:
            continue
        epochs = run.choices.get("epochs")
        if run.record.get("wall_s", 0) > 0 and isinstance(epochs, int) and epochs > 0:
            yield run


def _modification_time(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _cost(choices: Mapping[str, Any]) -> dict[str, Any]:
    """The choices on which the time of an epoch depends."""
    named = {key: value for key, value in choices.items() if is_among(key, COST_OPTIONS) or key == "optim"}
    return {key: value for key, value in named.items() if not is_among(key, EXECUTION_OPTIONS) or key in COST_OPTIONS}
