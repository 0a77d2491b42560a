"""Evaluations that satae-eval could have written of synthetic runs."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

Rows = list[list[Any]]

KINDS: Final = ("gaussian", "uniform", "masking", "salt_and_pepper")
LEVELS: Final = (0.1, 0.2, 0.3, 0.4, 0.5)
EPSILONS: Final = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5)
MIDDLE: Final = 0.1
ATTACKS: Final = 16  # of a model at a radius
N: Final = 500
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "denoising": (
        *("noise", "level", "seen", "mse", "psnr", "ssim", "fvu"),
        *("noisy mse", "noisy psnr", "noisy ssim", "noisy fvu", "n"),
    ),
    "code": ("of", "measure", "value", "low", "high", "n"),
    "sensitivity": (
        *("of", "noise", "sensitivity", "ratio to input", "per unit", "constant units", "identified", "n"),
    ),
    "manifold": ("against", "auroc", "low", "high", "energy", "energy of data", "n", "n of data"),
    "perturbation": (
        *("model", "output", "norm", "epsilon", "change", "change share", "largest change", "slope"),
        *("certified", "by norms", "by intervals", "n"),
    ),
    "defence": ("victim", "epsilon", "accuracy", "low", "high", "n", "verdict"),
    "verdicts": ("victim", "verdict", "gradients", "level", "spread"),
    "attacks": ("victim", "epsilon", "attack", "kind", "tried", "broken", "left", "n"),
    "checks": ("victim", "check", "outcome", "what", "found"),
}
SETTINGS: Final = {"best": False, "split": "test", "samples": 1000, "seed": 0}
OF_PART: Final = {"denoising": {"gaussian": list(LEVELS)}, "defence": {"norm": "linf", "samples": N, "steps": 40}}


def write_evaluation(directory: Path, alpha: float, draw: random.Random) -> None:
    """Write all parts into the directory of a run with some alpha."""
    for part, (headline, tables) in results(alpha, draw).items():
        write_part(directory, part, headline, tables)


def write_part(
    directory: Path,
    part: str,
    headline: Mapping[str, Any],
    tables: Mapping[str, Rows],
    pictures: Sequence[str] = (),
    notes: Sequence[str] = (),
    measured: str = "",
    **settings: Any,
) -> None:
    """Write one.

    Args:
        directory: of the run.
        part: its name.
        headline: what stands for it.
        tables: rows by name, in the order of ``COLUMNS``.
        pictures: names of its files.
        notes: what is to be known of it.
        measured: when.
        settings: others than the usual ones.
    """
    key = {"format": 1, "part": part, **SETTINGS, part: OF_PART.get(part, {}), "weights": "0" * 64, **settings}
    found = [{"name": name, "columns": COLUMNS[name], "rows": rows, "shown": []} for name, rows in tables.items()]
    content = {
        "key": key,
        "measured": measured,
        "headline": headline,
        "notes": [*notes],
        "tables": found,
        "pictures": [*pictures],
    }
    (directory / "evaluation").mkdir(exist_ok=True)
    (directory / "evaluation" / f"{part}.json").write_text(json.dumps(content), "utf-8")


def results(alpha: float, draw: random.Random) -> dict[str, tuple[dict[str, Any], dict[str, Rows]]]:
    """The headline and the table rows of each part."""
    noise = [*_denoising(alpha, draw)]
    moved = [*_perturbation(alpha, draw)]
    areas = {name: min(1.0, 0.6 + 0.2 * alpha + draw.gauss(0, 0.02)) for name in ("uniform", "gaussian", "shuffled")}
    code: Rows = [["layer1", "saturated fraction", min(1.0, 0.5 + alpha / 3), None, None, 1000]]
    code += [["encoder", "slope", 5 + draw.random(), 4.0, 7.0, 200], ["code", "linear probe", 0.9, 0.88, 0.92, 1000]]
    manifold: Rows = [[name, area, area - 0.02, area + 0.02, 9.0, 3.0, 1000, 1000] for name, area in areas.items()]
    defence, checks = _defence(alpha, draw)
    own = {row[1]: row[2] for row in defence if row[0] == "own"}
    verdict = defence[-1][-1]
    axes = ["hidden", "open", 0.2] if verdict == "masked" else ["visible", "corroborated", 0.01]
    verdicts: Rows = [["own", verdict, *axes]]
    return {
        "denoising": ({"fvu": noise[0][6], "psnr": noise[0][4]}, {"denoising": noise}),
        "code": ({"saturated": code[0][2], "slope": code[1][2], "probe": code[2][2]}, {"code": code}),
        "manifold": ({"auroc shuffled": areas["shuffled"]}, {"manifold": manifold}),
        "perturbation": ({"code change": moved[-1][5]}, {"perturbation": moved}),
        "defence": (
            {"epsilon": MIDDLE, "robust accuracy": own[MIDDLE], "verdict": verdict},
            {
                "defence": defence,
                "verdicts": verdicts,
                "attacks": [*_attacks(defence)],
                "checks": checks,
            },
        ),
    }


def _denoising(alpha: float, draw: random.Random) -> Iterator[list[Any]]:
    for kind in KINDS:
        for level in LEVELS:
            seen = "no" if kind != "gaussian" else "level" if level == 0.3 else "kind"
            fvu, noisy = 0.2 + 0.5 * level + 0.1 * alpha + draw.gauss(0, 0.01), 4 * level
            yield [kind, level, seen, 0.02, 20 - 10 * fvu, 0.7, fvu, 0.1, 20 - 10 * noisy, 0.3, noisy, N]


def _perturbation(alpha: float, draw: random.Random) -> Iterator[list[Any]]:
    for norm, epsilon in (("linf", 0.01), ("linf", 0.1), ("l2", 1.0)):
        for output in ("code", "reconstruction"):
            for model in ("own", "twin") if alpha else ("own",):
                share = 5 * epsilon * (1.2 if model == "own" else 1) + draw.gauss(0, 0.01)
                yield [model, output, norm, epsilon, share, share, share, 6.0, 1.0, 2.0, 1.0, 200]


def _defence(alpha: float, draw: random.Random) -> tuple[Rows, Rows]:
    rows: Rows = []
    checks: Rows = []
    for victim in ("alone", "twin", "own") if alpha else ("alone", "own"):
        verdict = "masked" if victim == "own" and alpha >= 1 else draw.choice(("holds", "holds", "inconclusive"))
        for epsilon in EPSILONS:
            gain = 0.1 * alpha if victim == "own" and epsilon else 0.0
            accuracy = max(0.0, 0.95 - 4 * epsilon + gain + draw.gauss(0, 0.01))
            rows.append([victim, epsilon, accuracy, accuracy - 0.03, accuracy + 0.03, N, verdict])
        for check in range(1, 11):
            bad = {"holds": "passed", "masked": "failed", "inconclusive": "open"}[verdict]
            outcome = bad if check == 8 else "passed"
            checks.append([victim, check, outcome, "something", "0.0 % (0.0 to 1.4)"])
    return rows, checks


def _attacks(defence: Rows) -> Iterator[list[Any]]:
    for victim, epsilon, accuracy, *_ in defence:
        for attack in range(ATTACKS):
            yield [victim, epsilon, f"attack-{attack}", "plain", N, 5, accuracy, N]
