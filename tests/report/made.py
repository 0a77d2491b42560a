"""Run directories as satae-train leaves them, in a moment."""

import json
import random
from html.parser import HTMLParser

import yaml

from benchmarks.report_size import RECORD, png

CONFIG = {
    "act": {"name": "relu"},
    "data": {"name": "digits", "split_seed": 0},
    "noise": {"name": "gaussian", "level": 0.3},
    "alpha": 0.1,
    "seed": 0,
}


def run(directory, metrics=None, record=None, pictures=("reconstructions", "encoder_filters"), **choices):
    """One run; ``metrics`` None for the usual ones, ``act="tanh"`` or ``noise={...}`` for its choices."""
    directory.mkdir(parents=True)
    chosen = CONFIG | {key: {"name": value} if key == "act" else value for key, value in choices.items()}
    (directory / "config.yaml").write_text(yaml.safe_dump(chosen), "utf-8")
    known = {key: value for key, value in (RECORD | (record or {})).items() if value is not None}
    (directory / "run.json").write_text(json.dumps(known), "utf-8")
    measured = usual(chosen) if metrics is None else metrics
    (directory / "metrics.json").write_text(json.dumps(measured), "utf-8")
    (directory / "pictures").mkdir()
    for name in pictures:
        (directory / "pictures" / f"{name}.png").write_bytes(png(random.Random(0), side=8))
    return directory


def usual(chosen):
    draw = random.Random(repr((chosen["act"], chosen["alpha"], chosen["seed"])))
    return {
        "alpha": chosen["alpha"],
        "valid/fvu": 0.3 + 0.2 * chosen["alpha"] + draw.gauss(0, 0.002),
        "valid/saturated_fraction": 0.5 + 0.3 * chosen["alpha"] + draw.gauss(0, 0.002),
        "valid/collapsed": 0.0,
        "wall_s": 1.0,
    }


def sweep(folder, acts=("relu", "satlin"), alphas=(0.0, 0.01, 0.1, 1.0), seeds=(0, 1, 2)):
    for act in acts:
        for alpha in alphas:
            for seed in seeds:
                run(folder / f"act={act},alpha={alpha:g},seed={seed}", act=act, alpha=alpha, seed=seed)
    return folder


class Page(HTMLParser):
    """What a browser would see."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.open, self.tables = [], [], [], []
        self.content = path.read_text("utf-8")
        self.feed(self.content)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("th", "td"):
            self.tables[-1][-1].append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if self.open and self.open[-1] in ("th", "td"):
            self.tables[-1][-1][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def seen(self):
        return " ".join("".join(self.text).replace("\N{NO-BREAK SPACE}", " ").split())
