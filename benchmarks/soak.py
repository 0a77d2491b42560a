"""Kill training at random moments, resume it until it is done, and compare: ``make soak``.

Each run starts as a user starts it and is killed repeatedly. Half of the kills come at a random moment of its whole
life, which is mostly imports; the others come during its training: in a step, or while it writes a checkpoint, measures
or logs. A run that is ended by SIGTERM must leave a checkpoint of the step that it prints. In the end the run must
equal an undisturbed run: the same weights and metrics, to the last bit, and each epoch once in its log.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks.report import table
from benchmarks.tools import ROOT

if TYPE_CHECKING:
    from torch import Tensor

PROGRAM: Final = str(Path(sys.executable).with_name("satae-train"))
COMMON: Final = (
    *("threads=1", "hydra.run.dir=run", "alpha=0.2", "noise.level=0.2", "data.limit=400", "batch_size=16"),
    *("checkpoint.every_steps=7", "checkpoint.every_minutes=null"),  # mid-epoch: an epoch has 25 steps
)
KINDS: Final = {
    "mlp": ("arch.widths=[32,8]", "epochs=12", "act=relu"),
    "conv": ("arch=conv", "arch.channels=[4]", "arch.code=8", "arch.batch_norm=true", "epochs=6", "act=tanh"),
}
TIMED: Final = ("wall_s", "samples_per_s")
KILLS_IN_TRAINING: Final = 0.5  # share of the kills that wait for the training
MAX_KILLS: Final = 100  # of one run
STARTUP_SECONDS: Final = 1.5  # until the program handles signals, with another run on the machine


class UndisturbedRun(NamedTuple):
    """A run that was never killed."""

    run: Path
    seconds: float  # of the whole program
    training: float  # of the run, without imports


class Kill(NamedTuple):
    """One kill."""

    signal: str
    kind: str
    state: str  # of the run directory when the signal came
    finished: bool  # whether the run finished before the signal came


def main() -> None:
    """Kill the requested number of runs and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kill", type=int, default=100, help="runs killed with SIGKILL; default %(default)s")
    parser.add_argument("--term", type=int, default=50, help="runs ended with SIGTERM; default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--jobs", type=int, default=2, help="runs at once; default %(default)s")
    parser.add_argument("--out", type=Path, help="folder; default outputs/soak-<date>")
    chosen = parser.parse_args()
    out = (chosen.out or ROOT / "outputs" / f"soak-{datetime.now(UTC):%Y-%m-%d-%H-%M}").resolve()
    out.mkdir(parents=True)
    undisturbed = {kind: run_undisturbed(out / f"whole-{kind}", kind) for kind in KINDS}
    counts = {signal.SIGKILL: chosen.kill, signal.SIGTERM: chosen.term}
    trials = [(number, trial) for number, count in counts.items() for trial in range(count)]
    with ThreadPoolExecutor(chosen.jobs) as pool:
        kills = [
            kill for made in pool.map(partial(kill_and_compare, out, undisturbed, chosen.seed), trials) for kill in made
        ]
    text = report(counts, kills)
    (out / "soak.md").write_text(text, encoding="utf-8")
    print(text)


def kill_and_compare(
    out: Path, undisturbed: dict[str, UndisturbedRun], seed: int, trial: tuple[signal.Signals, int]
) -> list[Kill]:
    """Kill and resume one run until it finishes, and compare it with the undisturbed one."""
    number, count = trial
    kind = [*KINDS][count % len(KINDS)]
    folder = out / f"{number.name}-{count}"
    kills = run_with_kills(folder, kind, number, undisturbed[kind], random.Random(f"{seed} {number} {count}"))
    compare(folder / "run", undisturbed[kind].run)
    shutil.rmtree(folder)
    print(f"{number.name} {count + 1} {kind}: the same after {len(kills)} starts", flush=True)
    return kills


def run_undisturbed(folder: Path, kind: str) -> UndisturbedRun:
    """Train without a kill."""
    folder.mkdir()
    start = time.perf_counter()
    subprocess.run([PROGRAM, *COMMON, *KINDS[kind]], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    return UndisturbedRun(
        folder / "run", seconds, json.loads((folder / "run" / "metrics.json").read_text("utf-8"))["wall_s"]
    )


def run_with_kills(
    folder: Path, kind: str, number: signal.Signals, undisturbed: UndisturbedRun, draw: random.Random
) -> list[Kill]:
    """Kill and resume a run until it finishes; returns every kill."""
    folder.mkdir()
    run, kills = folder / "run", list[Kill]()
    while len(kills) < MAX_KILLS:
        resumed = times_resumed(run)
        words = [*COMMON, *KINDS[kind]] if resumed is None else ["resume=run"]
        log_file = folder / f"log-{len(kills)}"
        with log_file.open("wb") as log:
            program = subprocess.Popen([PROGRAM, *words], cwd=folder, stdout=log, stderr=log)
            in_training = draw.random() < KILLS_IN_TRAINING
            if in_training:
                wait_for_training(program, run, resumed)
            longest = undisturbed.training if in_training else (1.2 if kills else 0.9) * undisturbed.seconds
            patience = draw.uniform(0, longest)
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(patience)
            if program.poll() is None:
                program.send_signal(number)
            code = program.wait(60)
        kills.append(Kill(number.name, kind, directory_state(run, resumed), code == 0))
        if code == 0:
            return kills
        text = log_file.read_text("utf-8", "replace")
        no_handler = number == signal.SIGKILL or (not in_training and patience < STARTUP_SECONDS)
        if code != 128 + number and not (no_handler and code == -number):
            raise SystemExit(f"{folder}: {code} after {number.name}:\n{text}")
        check_printed_step(run, text)
    raise SystemExit(f"{folder}: not done after {MAX_KILLS} kills")


def times_resumed(run: Path) -> int | None:
    """How often a run was resumed; None if it has not started."""
    if not (run / "run.json").exists():
        return None
    return len(json.loads((run / "run.json").read_text("utf-8")).get("resumed", []))


def wait_for_training(program: subprocess.Popen[bytes], run: Path, resumed: int | None) -> None:
    """Wait until a new run has logged its first epoch, a resumed run has started training, or the program ends."""
    while program.poll() is None:
        history = run / "metrics.jsonl"
        if history.exists() and history.stat().st_size if resumed is None else times_resumed(run) != resumed:
            return
        time.sleep(0.005)


def check_printed_step(run: Path, text: str) -> None:
    """Exit if a run printed that it stopped at a step, but no checkpoint of that step exists."""
    from satae.training import checkpoint
    from satae.training.checkpoint import checkpoint_path

    for step in re.findall(r"interrupted: stopped at step ([\d,]+),", text):
        number = int(step.replace(",", ""))
        place = checkpoint_path(run, number)
        if not place.is_file() or checkpoint.load(place).step != number:
            raise SystemExit(f"{run}: no checkpoint of step {step}, at which it stopped")


def directory_state(run: Path, resumed: int | None) -> str:
    """The state of a run, as its directory shows it.

    Args:
        run: its directory.
        resumed: how often it had been resumed before this start; None for a new run.
    """
    if (now := times_resumed(run)) is None:
        return "nothing written yet"
    if now == resumed:
        return "before it resumed"
    if [*run.glob("**/.*.partial")]:
        return "a file half written"
    if (run / "metrics.json").exists():
        return "last metrics written"
    if not [*run.glob("checkpoints/step-*")]:
        return "no checkpoint yet"
    return "in training"


def compare(run: Path, undisturbed: Path) -> None:
    """Exit at the first difference."""
    from satae.runs.loading import read_state

    found, expected = untimed(run), untimed(undisturbed)
    for name, value in expected.items():
        if found[name] != value:
            raise SystemExit(f"{run}: {name} differs:\n{found[name]}\n{value}")
    for best in (False, True):
        ours, theirs = (read_state(one, best=best) for one in (run, undisturbed))
        if ours.facts != theirs.facts or not same(ours.tensors, theirs.tensors):
            raise SystemExit(f"{run}: the {'best' if best else 'latest'} weights differ")


def same(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> bool:
    """Whether tensors are the same by name, type, shape and content."""
    return ours.keys() == theirs.keys() and all(
        (x.dtype, x.shape) == (theirs[name].dtype, theirs[name].shape) and bool((x == theirs[name]).all())
        for name, x in ours.items()
    )


def untimed(run: Path) -> dict[str, Any]:
    """The files of a run without its times, and everything that TensorBoard shows of it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def without_times(line: str) -> dict[str, Any]:
        return {key: value for key, value in json.loads(line).items() if key not in TIMED}

    shown = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0, "histograms": 0}).Reload()
    tags = shown.Tags()
    return {
        "metrics": without_times((run / "metrics.json").read_text("utf-8")),
        "history": [without_times(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()],
        "status": json.loads((run / "run.json").read_text("utf-8"))["status"],
        "scalars": {
            tag: [(event.step, event.value) for event in shown.Scalars(tag)]
            for tag in sorted(tags["scalars"])
            if tag not in TIMED
        },
        "images": {tag: [event.step for event in shown.Images(tag)] for tag in sorted(tags["images"])},
        "pictures": {path.name: path.read_bytes() for path in sorted((run / "pictures").iterdir())},
    }


def report(counts: dict[signal.Signals, int], kills: list[Kill]) -> str:
    """A table of the kills."""
    rows = []
    for number, count in counts.items():
        early = [kill for kill in kills if kill.signal == number.name and not kill.finished]
        by = Counter(kill.state for kill in early)
        places = ", ".join(f"{name} {times}" for name, times in sorted(by.items()))
        rows += [[number.name, str(count), str(len(early)), places]]
    return "# Interrupted runs\n\n" + table(["signal", "runs", "interruptions", "state at the time"], rows) + "\n"


if __name__ == "__main__":
    main()
