"""The time share of logging and checkpoints in a training: ``python -m benchmarks.side_costs FOLDER WORD...``.

satae.train.train() runs here as satae-train runs it, with clocks around what is done beside training:

    logging    opening and closing the records, epoch lines, TensorBoard's scalars, texts, histograms and pictures,
               drawing these pictures, collecting and writing checkpoints, what is shown on the terminal
    measuring  the measures of both splits after each epoch, and the rarer ones
    training   the training passes, by the speed that the run reports of each epoch

The share of logging is logging / (training + logging): without the measuring, which would make it smaller. A short run
comes first, so that imports, which belong to the start of the program, are not counted. What TensorBoard's thread
writes meanwhile is counted as far as the training waits for it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

WARM_UP = ("data.limit=128", "epochs=1")


class Clocks:
    """Seconds by kind; a call within one that is timed belongs to the outer one."""

    def __init__(self) -> None:
        self.seconds = {"logging": 0.0, "measuring": 0.0}
        self._running = False

    def around(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        """The function, timed."""

        @functools.wraps(function)
        def timed(*words: Any, **named: Any) -> Any:
            if self._running:
                return function(*words, **named)
            self._running, start = True, time.perf_counter()
            try:
                return function(*words, **named)
            finally:
                self._running = False
                self.seconds[kind] += time.perf_counter() - start

        return timed


@contextlib.contextmanager
def clocked(clocks: Clocks) -> Iterator[None]:
    """Put clocks around everything that counts, and take them off."""
    from unittest import mock

    from satae.experiment.experiment import Experiment
    from satae.loggers.console import RunConsole
    from satae.loggers.tensorboard_logger import TensorBoardLogger
    from satae.plots import pictures
    from satae.runs.record import RunRecord
    from satae.training.checkpoint import CheckpointManager

    logging = {
        TensorBoardLogger: ("__init__", "close", "log_command", "log_scalars", "log_histograms", "log_images", "flush"),
        RunRecord: ("__enter__", "__exit__", "add", "add_epoch", "sync", "write_final_metrics"),
        RunConsole: ("__enter__", "__exit__", "info", "warn", "show_epoch", "show_result"),
        CheckpointManager: ("offer_best", "save"),
        Experiment: ("state", "distributions"),
        pictures: ("draw", "save"),
    }
    places = [(owner, name, "logging") for owner, names in logging.items() for name in names]
    places += [(Experiment, name, "measuring") for name in ("measure", "measure_rare")]
    with contextlib.ExitStack() as stack:
        for owner, name, kind in places:
            stack.enter_context(mock.patch.object(owner, name, clocks.around(getattr(owner, name), kind)))
        yield


def train(folder: Path, words: list[str]) -> float:
    """One run; seconds of its training passes."""
    from satae.cli.compose import compose_runs
    from satae.runs.record import RunRecord
    from satae.train import train as satae_train

    ((composed, *_), *_) = compose_runs(words)
    config = composed.config
    with RunRecord.start(folder, config, "side_costs", words) as record:
        satae_train(config, record)
    samples = json.loads((folder / "run.json").read_text("utf-8"))["data"]["train"]
    lines = (folder / "metrics.jsonl").read_text("utf-8").splitlines()
    return sum(float(samples / json.loads(line)["samples_per_s"]) for line in lines)


def main() -> None:
    """Print the shares, as the last line."""
    folder, words = Path(sys.argv[1]), sys.argv[2:]
    train(folder / "warm_up", [*words, *WARM_UP])
    clocks = Clocks()
    with clocked(clocks):
        training = train(folder / "timed", words)
    logging, measuring = clocks.seconds["logging"], clocks.seconds["measuring"]
    shares = {"logging": logging / (training + logging), "measuring": measuring / (training + logging + measuring)}
    print(json.dumps({**shares, "training_s": training, "logging_s": logging, "measuring_s": measuring}))


if __name__ == "__main__":
    main()
