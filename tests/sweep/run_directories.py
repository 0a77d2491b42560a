"""Run directories as satae-train leaves them, without any training."""

import json

import yaml

CONFIG = {"act": {"name": "relu"}, "alpha": 0.1, "seed": 0, "epochs": 2, "threads": None, "checkpoint": {"keep": 2}}


def run(folder, status="finished", metrics=None, error=None, history=(), **choices):
    """Make one; ``choices`` are added to its configuration."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({**CONFIG, **choices}))
    ending = {"exit_code": 0} if status == "finished" else {}
    ending = {"exit_code": 1, "error": error} if error else ending
    record = {"status": status, "command": "satae-train", "overrides": [], **ending}
    (folder / "run.json").write_text(json.dumps(record))
    if metrics is not None:
        (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in history))
    return folder
