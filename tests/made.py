"""Write run directories like those of satae-train, without training."""

import json
import random

import yaml

from benchmarks.report_size import RECORD, png
from satae.sweeps.results import run_directories, try_read_run

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
UNKNOWN_WHILE_RUNNING = {
    "exit_code": None,
    "ended": None,
    "wall_s": None,
}  # fields of run.json that a running run leaves out


def run(folder, metrics=None, *, status="finished", error=None, record=None, history=(), pictures=(), **choices):
    """Write one run; ``choices`` change its configuration, such as ``act="tanh"`` or ``noise={...}``."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(chosen(choices)), "utf-8")
    ending = UNKNOWN_WHILE_RUNNING if status == "running" else {"exit_code": 1, "error": error} if error else {}
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
    """Write a finished run with pictures and metrics (by default those of ``usual``)."""
    measured = usual(chosen(choices)) if metrics is None else metrics
    return run(folder, measured, record=record, pictures=pictures, **choices)


def sweep(folder, acts=("relu", "satlin"), alphas=(0.0, 0.01, 0.1, 1.0), seeds=(0, 1, 2)):
    """Write a run for each combination of activation, alpha and seed."""
    for act in acts:
        for alpha in alphas:
            for seed in seeds:
                whole(folder / f"act={act},alpha={alpha:g},seed={seed}", act=act, alpha=alpha, seed=seed)
    return folder


def read_all(sweep):
    """The runs of a sweep, unreadable ones too."""
    return [try_read_run(directory) for directory in run_directories(sweep)]


def chosen(choices):
    """Return the default configuration with some choices changed."""
    return CONFIG | {key: {"name": value} if key == "act" else value for key, value in choices.items()}


def usual(config):
    """Return metrics that get worse with alpha and vary a little with the seed."""
    draw = random.Random(repr((config["act"], config["alpha"], config["seed"])))
    return {
        "alpha": config["alpha"],
        "valid/fvu": 0.3 + 0.2 * config["alpha"] + draw.gauss(0, 0.002),
        "valid/saturated_fraction": 0.5 + 0.3 * config["alpha"] + draw.gauss(0, 0.002),
        "valid/collapsed": 0.0,
        "wall_s": 1.0,
    }
