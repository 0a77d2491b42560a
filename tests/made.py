"""Run directories as satae-train leaves them, without any training."""

import json
import random

import yaml

from benchmarks.report_size import RECORD, png

CONFIG = {
    "act": {"name": "relu"},
    "data": {"name": "digits", "split_seed": 0},
    "noise": {"name": "gaussian", "level": 0.3},
    "alpha": 0.1,
    "seed": 0,
    "epochs": 2,
    "threads": None,
    "checkpoint": {"keep": 2},
}
GOING_ON = {"exit_code": None, "ended": None, "wall_s": None}  # what is not known of a run that has not ended


def run(folder, metrics=None, *, status="finished", error=None, record=None, history=(), pictures=(), **choices):
    """One run; its choices are such as ``act="tanh"`` or ``noise={...}``."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(chosen(choices)), "utf-8")
    ending = GOING_ON if status == "running" else {"exit_code": 1, "error": error} if error else {}
    known = RECORD | {"status": status} | ending | (record or {})
    (folder / "run.json").write_text(json.dumps({key: value for key, value in known.items() if value is not None}))
    if metrics is not None:
        (folder / "metrics.json").write_text(json.dumps(metrics), "utf-8")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in history))
    (folder / "pictures").mkdir()
    for name in pictures:
        (folder / "pictures" / f"{name}.png").write_bytes(png(random.Random(0), side=8))
    return folder


def whole(folder, metrics=None, record=None, pictures=("reconstructions", "encoder_filters"), **choices):
    """One with pictures, and the usual measures where no others are given."""
    measured = usual(chosen(choices)) if metrics is None else metrics
    return run(folder, measured, record=record, pictures=pictures, **choices)


def sweep(folder, acts=("relu", "satlin"), alphas=(0.0, 0.01, 0.1, 1.0), seeds=(0, 1, 2)):
    """A run for each combination."""
    for act in acts:
        for alpha in alphas:
            for seed in seeds:
                whole(folder / f"act={act},alpha={alpha:g},seed={seed}", act=act, alpha=alpha, seed=seed)
    return folder


def chosen(choices):
    """A configuration with some choices."""
    return CONFIG | {key: {"name": value} if key == "act" else value for key, value in choices.items()}


def usual(config):
    """Measures that alpha makes worse."""
    draw = random.Random(repr((config["act"], config["alpha"], config["seed"])))
    return {
        "alpha": config["alpha"],
        "valid/fvu": 0.3 + 0.2 * config["alpha"] + draw.gauss(0, 0.002),
        "valid/saturated_fraction": 0.5 + 0.3 * config["alpha"] + draw.gauss(0, 0.002),
        "valid/collapsed": 0.0,
        "wall_s": 1.0,
    }
