"""When does saturation make a model harder to perturb? Train, attack and compare: ``make answer``.

Everything is kept in outputs/answer. The same command again goes on where it was stopped, and prints the table of all
that is there.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.report import table
from benchmarks.soak import PROGRAM
from satae.config.saved_config import read_config
from satae.evaluation.result import ResultRow, StoredResult, read_result
from satae.messages import format_value
from satae.runs.layout import CONFIG_FILE
from satae.sweeps.aggregate import ENOUGH_SEEDS, SeedStatistics, holm
from satae.sweeps.results import run_directories

FOLDER: Final = Path("outputs/answer")
EVALUATE: Final = str(Path(PROGRAM).with_name("satae-eval"))
FASHION: Final = ("data=fashion_mnist", "data.limit=8000", "epochs=20")
MNIST: Final = ("data=mnist", "data.limit=8000", "epochs=20")
ONE_LAYER: Final = ("arch.widths=[256]",)
DEEP: Final = ("arch.widths=[512,64]",)
CONV: Final = ("arch=conv", "epochs=10")
LINF: Final = ("defence.epsilons=[0.05]",)
HEADS: Final = ("plain", "on_reconstructions", "on_code")
COLUMNS: Final = (
    *("row", "classifier", "alpha", "seeds", "n", "no attack", "all attacks", "AutoAttack alone"),
    *("more than alpha 0", "p, corrected", "more than alone", "gradients", "level"),
)


class Row(NamedTuple):
    """A network, its data and its noise: trained for each alpha and seed, and attacked."""

    name: str
    words: tuple[str, ...]  # of satae-train
    alphas: str = "0,1"
    attack: tuple[str, ...] = LINF  # of satae-eval
    heads: tuple[str, ...] = ("plain",)


ROWS: Final = (
    Row("fashion-satlin", (*FASHION, *ONE_LAYER, "act=satlin", "noise=none"), "0,0.1,1", heads=HEADS),
    Row("fashion-relu", (*FASHION, *ONE_LAYER, "act=relu", "noise=none")),
    Row("fashion-satlin-noise-.3", (*FASHION, *ONE_LAYER, "act=satlin", "noise=gaussian", "noise.level=0.3")),
    Row("mnist-satlin", (*MNIST, *ONE_LAYER, "act=satlin", "noise=none")),
    Row("mnist-satlin-noise-.3", (*MNIST, *ONE_LAYER, "act=satlin", "noise=gaussian", "noise.level=0.3")),
    Row("fashion-tanh", (*FASHION, *ONE_LAYER, "act=tanh", "noise=none")),
    Row("fashion-sigmoid", (*FASHION, *ONE_LAYER, "act=sigmoid", "noise=none")),
    Row("fashion-satlin-512-64", (*FASHION, *DEEP, "act=satlin", "noise=none")),
    Row("fashion-satlin-noise-.1", (*FASHION, *ONE_LAYER, "act=satlin", "noise=gaussian", "noise.level=0.1")),
    Row("fashion-satlin-adversarial", (*FASHION, *ONE_LAYER, "act=satlin", "noise=adversarial", "noise.level=0.1")),
    Row("fashion-satlin-conv", (*FASHION, *CONV, "act=satlin", "noise=none")),
    Row(
        "fashion-satlin-l2",
        (*FASHION, *ONE_LAYER, "act=satlin", "noise=none"),
        attack=("defence.norm=l2", "defence.epsilons=[1.0]"),
    ),
)


def main() -> None:
    """Train and attack what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="*", help=f"of {', '.join(row.name for row in ROWS)}; default all")
    parser.add_argument("--seeds", type=int, default=5, help="of both networks; default %(default)s")
    parser.add_argument("--inputs", type=int, default=500, help="test images; default %(default)s")
    parser.add_argument("--mnist-dir", help="folder of MNIST's files; default: they are downloaded")
    parser.add_argument("--table", action="store_true", help="only print the table")
    chosen = parser.parse_args()
    rows = [row for row in ROWS if not chosen.rows or row.name in chosen.rows]
    if unknown := {*(chosen.rows or ())} - {row.name for row in ROWS}:
        parser.error(f"--rows {' '.join(unknown)}: choose from {', '.join(row.name for row in ROWS)}")
    for head, row in ((head, row) for head in HEADS for row in rows if head in row.heads and not chosen.table):
        has_folder = chosen.mnist_dir and "data=mnist" in row.words
        more = [f"data.dir={Path(chosen.mnist_dir).absolute()}"] if has_folder else []
        for run in train(row, chosen.seeds, more):
            attack(row, run, head, chosen.inputs)
    found = [line for head in HEADS for row in rows if head in row.heads for line in lines(row, head, chosen.inputs)]
    corrected = iter(holm([line.change.p_value for line in found if line.is_tested]))
    cells = [
        [*line.left, interval(line.change), p_value(next(corrected)) if line.is_tested else "", *line.right]
        for line in found
    ]
    sys.stdout.write(f"{table(COLUMNS, cells)}\n")
    programs = sorted(set[str]().union(*(line.programs for line in found)))
    if len(programs) > 1:
        sys.stdout.write(f"\nThe results come from {len(programs)} versions of satae:\n")
    for program in programs if len(programs) > 1 else ():
        rows_of = sorted({line.left[0] for line in found if program in line.programs})
        sys.stdout.write(f"- {program}: {', '.join(rows_of)}\n")


def train(row: Row, seeds: int, more: Sequence[str]) -> list[Path]:
    """The run directories of a row, by alpha and seed."""
    words = [f"sweep=./{FOLDER / row.name}", *row.words, *more, f"alpha={row.alphas}", f"seed=range({seeds})"]
    subprocess.run([PROGRAM, *words, "threads=1", "logger=none"], check=True, stdout=subprocess.DEVNULL)
    return sorted(run_directories(FOLDER / row.name), key=lambda run: (seed_of(run), alpha_of(run)))


def seed_of(run: Path) -> int:
    """The seed of a run."""
    return read_config(run / CONFIG_FILE).seed


def alpha_of(run: Path) -> float:
    """The alpha of a run."""
    return read_config(run / CONFIG_FILE).alpha


def kept(run: Path, head: str, inputs: int) -> Path:
    """Where the result of a run is kept: the next evaluation of the run replaces its own files."""
    return run / "answer" / f"{head}-{inputs}"


def attack(row: Row, run: Path, head: str, inputs: int) -> None:
    """Attack a run, unless it has been done."""
    folder = kept(run, head, inputs)
    if not (folder / "defence.json").exists():
        words = [f"run={run}", "evaluation=defence", f"defence.classifier={head}", f"defence.samples={inputs}"]
        subprocess.run(
            [EVALUATE, *words, *row.attack, "defence.libraries=autoattack", "threads=1"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(run / "evaluation" / "defence.json", folder)


# The table


class Measured(NamedTuple):
    """What the attacks left of one run."""

    clean: float
    accuracy: float
    library: float  # under AutoAttack alone
    alone: float  # of the classifier alone
    gradients: str
    level: str
    program: str  # a hash of satae's sources


ACCURACIES: Final[tuple[Callable[[Measured], float], ...]] = (
    lambda one: one.clean,
    lambda one: one.accuracy,
    lambda one: one.library,
)


class Line(NamedTuple):
    """A line of the table."""

    left: list[str]  # cells before the change
    change: SeedStatistics  # of the accuracy under attack from alpha 0, seed by seed
    right: list[str]  # cells after it
    programs: set[str]  # that measured it: hashes of satae's sources

    @property
    def is_tested(self) -> bool:
        """Whether there are enough seeds for a p-value."""
        return self.change.n >= ENOUGH_SEEDS


def lines(row: Row, head: str, inputs: int) -> Iterator[Line]:
    """The lines of a row, one for each alpha."""
    found: dict[float, dict[int, Measured]] = {}
    for run in run_directories(FOLDER / row.name) if (FOLDER / row.name).exists() else ():
        if stored := read_result(kept(run, head, inputs), "defence"):
            found.setdefault(alpha_of(run), {})[seed_of(run)] = measured(stored)
    for alpha, by_seed in sorted(found.items()):
        base = found.get(0.0, {}) if alpha else {}
        changes = (by_seed[seed].accuracy - base[seed].accuracy for seed in by_seed if seed in base)
        yield Line(
            [
                *(row.name, head, f"{alpha:g}", str(len(by_seed)), str(inputs)),
                *(spread([value(one) for one in by_seed.values()]) for value in ACCURACIES),
            ],
            SeedStatistics.from_values(changes),
            [
                interval(SeedStatistics.from_values(one.accuracy - one.alone for one in by_seed.values())),
                counts([one.gradients for one in by_seed.values()]),
                counts([one.level for one in by_seed.values()]),
            ],
            {one.program for one in by_seed.values()},
        )


def measured(stored: StoredResult) -> Measured:
    """Read what the table shows."""
    tables = {one.name: [*one.dicts()] for one in stored.result.tables}

    def at(victim: str) -> list[ResultRow]:
        return [row for row in tables["defence"] if row["victim"] == victim]

    clean, attacked = at("own")[:2]
    (library,) = (
        row
        for row in tables["attacks"]
        if (row["victim"], row["epsilon"], row["attack"]) == ("own", attacked["epsilon"], "autoattack")
    )
    (verdict,) = (row for row in tables["verdicts"] if row["victim"] == "own")
    left = clean.number("accuracy") - library.number("broken") / library.number("n")
    accuracies = clean.number("accuracy"), attacked.number("accuracy"), left, at("alone")[1].number("accuracy")
    program = format_value(stored.key.get("satae"))
    return Measured(*accuracies, verdict.text("gradients"), verdict.text("level"), program)


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation over the seeds; of one seed, its value."""
    found = SeedStatistics.from_values(values)
    return f"{found.mean:.3f} ± {found.deviation:.3f}" if found.n > 1 else f"{found.mean:.3f}"


def interval(difference: SeedStatistics) -> str:
    """The mean of a difference, and its 95 % interval, if there are enough seeds for one."""
    ends = f" ({difference.mean - difference.margin:+.3f} to {difference.mean + difference.margin:+.3f})"
    return f"{difference.mean:+.3f}{ends if difference.n >= ENOUGH_SEEDS else ''}" if difference.n else ""


def p_value(p: float) -> str:
    """A p-value in words."""
    return "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0")


def counts(words: Sequence[str]) -> str:
    """How often each word was said: ``hidden 3, open 2``."""
    return ", ".join(f"{word} {words.count(word)}" for word in sorted({*words}))


if __name__ == "__main__":
    main()
