"""Kill training at random moments, resume it until it is done, and compare: ``make soak``.

Each run is started as a user starts it and killed again and again: one time in two at a moment spread over its whole
life, which is imports for the most part, else at one spread over its training: in a step, while it writes a checkpoint,
measures or logs. A run that is ended by SIGTERM must have left a checkpoint of the step that it tells. Its end must be
that of a run which nobody disturbed: the same weights and the same metrics, to the last bit, and each epoch once in its
history.
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
from benchmarks.ways import ROOT

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
IN_TRAINING: Final = 0.5  # share of the kills that wait for the training
MOST: Final = 100  # kills of one run
DEAF: Final = 1.5  # seconds that Python and its libraries may take, beside other runs, until they hear a signal


class Whole(NamedTuple):
    """A run that nobody disturbed."""

    run: Path
    seconds: float  # that it took
    training: float  # of these, without imports


class Kill(NamedTuple):
    """One kill."""

    signal: str
    kind: str
    at: str  # what the run had come to
    ended: bool  # whether the run was over before the signal came


def main() -> None:
    """Kill as many times as is asked, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kill", type=int, default=100, help="runs killed with SIGKILL; default %(default)s")
    parser.add_argument("--term", type=int, default=50, help="runs ended with SIGTERM; default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--jobs", type=int, default=2, help="at once; default %(default)s")
    parser.add_argument("--out", type=Path, help="folder; default outputs/soak-<date>")
    chosen = parser.parse_args()
    out = (chosen.out or ROOT / "outputs" / f"soak-{datetime.now(UTC):%Y-%m-%d-%H-%M}").resolve()
    out.mkdir(parents=True)
    wholes = {kind: whole(out / f"whole-{kind}", kind) for kind in KINDS}
    counts = {signal.SIGKILL: chosen.kill, signal.SIGTERM: chosen.term}
    trials = [(number, trial) for number, count in counts.items() for trial in range(count)]
    with ThreadPoolExecutor(chosen.jobs) as pool:
        kills = [kill for made in pool.map(partial(try_one, out, wholes, chosen.seed), trials) for kill in made]
    text = report(counts, kills)
    (out / "soak.md").write_text(text, encoding="utf-8")
    print(text)


def try_one(out: Path, wholes: dict[str, Whole], seed: int, trial: tuple[signal.Signals, int]) -> list[Kill]:
    """One run, cut off until it is done, and compared."""
    number, count = trial
    kind = [*KINDS][count % len(KINDS)]
    folder = out / f"{number.name}-{count}"
    kills = disturbed(folder, kind, number, wholes[kind], random.Random(f"{seed} {number} {count}"))
    compare(folder / "run", wholes[kind].run)
    shutil.rmtree(folder)
    print(f"{number.name} {count + 1} {kind}: the same after {len(kills)} starts", flush=True)
    return kills


def whole(folder: Path, kind: str) -> Whole:
    """A run that nobody disturbs."""
    folder.mkdir()
    begun = time.perf_counter()
    subprocess.run([PROGRAM, *COMMON, *KINDS[kind]], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    return Whole(folder / "run", seconds, json.loads((folder / "run" / "metrics.json").read_text("utf-8"))["wall_s"])


def disturbed(folder: Path, kind: str, number: signal.Signals, undisturbed: Whole, draw: random.Random) -> list[Kill]:
    """A run that is ended early again and again, until it is done; what it had come to each time."""
    folder.mkdir()
    run, kills = folder / "run", list[Kill]()
    while len(kills) < MOST:
        resumed = times_resumed(run)
        words = [*COMMON, *KINDS[kind]] if resumed is None else ["resume=run"]
        told = folder / f"log-{len(kills)}"
        with told.open("wb") as log:
            program = subprocess.Popen([PROGRAM, *words], cwd=folder, stdout=log, stderr=log)
            heard = draw.random() < IN_TRAINING
            if heard:
                wait_for_training(program, run, resumed)
            longest = undisturbed.training if heard else (1.2 if kills else 0.9) * undisturbed.seconds
            patience = draw.uniform(0, longest)
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(patience)
            if program.poll() is None:
                program.send_signal(number)
            code = program.wait(60)
        kills.append(Kill(number.name, kind, reached(run, resumed), code == 0))
        if code == 0:
            return kills
        text = told.read_text("utf-8", "replace")
        deaf = number == signal.SIGKILL or (not heard and patience < DEAF)
        if code != 128 + number and not (deaf and code == -number):
            raise SystemExit(f"{folder}: {code} after {number.name}:\n{text}")
        check_told(run, text)
    raise SystemExit(f"{folder}: not done after {MOST} times")


def times_resumed(run: Path) -> int | None:
    """How often a run has gone on; None where it has not begun."""
    if not (run / "run.json").exists():
        return None
    return len(json.loads((run / "run.json").read_text("utf-8")).get("resumed", []))


def wait_for_training(program: subprocess.Popen[bytes], run: Path, resumed: int | None) -> None:
    """Wait until a new run has told of its first epoch, or one that was resumed has gone on once more; or its end."""
    while program.poll() is None:
        history = run / "metrics.jsonl"
        if history.exists() and history.stat().st_size if resumed is None else times_resumed(run) != resumed:
            return
        time.sleep(0.005)


def check_told(run: Path, text: str) -> None:
    """Stop where a run has told that it left at a step, and there is no checkpoint of it."""
    from satae.training import checkpoint
    from satae.training.checkpoint_manager import checkpoint_path

    for step in re.findall(r"asked to end: left at step ([\d,]+),", text):
        number = int(step.replace(",", ""))
        place = checkpoint_path(run, number)
        if not place.is_file() or checkpoint.load(place).step != number:
            raise SystemExit(f"{run}: no checkpoint of step {step}, at which it told that it left")


def reached(run: Path, resumed: int | None) -> str:
    """What a run has come to, as a reader of its directory sees it.

    Args:
        run: its directory.
        resumed: how often it had gone on before it was started; None for a new one.
    """
    if (now := times_resumed(run)) is None:
        return "nothing written"
    if now == resumed:
        return "before it went on"
    if [*run.glob("**/.*.partial")]:
        return "a file half written"
    if (run / "metrics.json").exists():
        return "last measures written"
    if not [*run.glob("checkpoints/step-*")]:
        return "no checkpoint yet"
    return "within the training"


def compare(run: Path, undisturbed: Path) -> None:
    """Stop at the first difference."""
    from satae.runs.loading import state_of

    found, expected = untimed(run), untimed(undisturbed)
    for name, value in expected.items():
        if found[name] != value:
            raise SystemExit(f"{run}: {name} differs:\n{found[name]}\n{value}")
    for best in (False, True):
        ours, theirs = (state_of(one, best=best) for one in (run, undisturbed))
        if ours.facts != theirs.facts or not same(ours.tensors, theirs.tensors):
            raise SystemExit(f"{run}: the {'best' if best else 'latest'} weights differ")


def same(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> bool:
    """Whether tensors are the same by name, type, shape and content."""
    return ours.keys() == theirs.keys() and all(
        (x.dtype, x.shape) == (theirs[name].dtype, theirs[name].shape) and bool((x == theirs[name]).all())
        for name, x in ours.items()
    )


def untimed(run: Path) -> dict[str, Any]:
    """What a run tells of itself, but for its times; and what TensorBoard shows of it."""
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
    """What was done, as a table."""
    rows = []
    for number, count in counts.items():
        early = [kill for kill in kills if kill.signal == number.name and not kill.ended]
        by = Counter(kill.at for kill in early)
        places = ", ".join(f"{name} {times}" for name, times in sorted(by.items()))
        rows += [[number.name, str(count), str(len(early)), places]]
    return (
        "# Runs that were cut off\n\n"
        + table(["signal", "runs", "times cut off", "what they had come to"], rows)
        + "\n"
    )


if __name__ == "__main__":
    main()
