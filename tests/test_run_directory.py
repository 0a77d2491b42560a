"""What a run leaves: the files, their contents, the model; and that it leaves nothing else."""

import json
import math
import os
import pickle
import random
import re
import shlex
import shutil
import subprocess
import sys
import threading
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from program import PROGRAM, TINY, here, read, replaced, runs
from safetensors.torch import save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.nn.modules import module

import satae
from benchmarks.report_size import RECORD
from satae.config import validate
from satae.config.registry import NOISES
from satae.config.saved_config import read_config
from satae.data.local_files import CACHE_VARIABLE, cache_folder
from satae.experiment import build
from satae.experiment.experiment import METRICS_SEED
from satae.training import CHECKPOINTS_FOLDER, checkpoint
from satae.training.checkpoint import latest_checkpoint, list_checkpoints

LAYERS = ["layer1", "layer2"]
MEASURES = [
    *("total", "reconstruction", "saturation", "fvu", "psnr", "active_code_units", "collapsed"),
    *("saturated_fraction", *(f"saturated_fraction/{layer}" for layer in LAYERS)),
    *("dead_fraction", *(f"dead_fraction/{layer}" for layer in LAYERS)),
]
EPOCHS = 3
WORDS = replaced([*TINY, f"epochs={EPOCHS}", "act=tanh", "alpha=0.2", "seed=5"])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The directory of a tiny run."""
    folder = tmp_path_factory.mktemp("run")
    assert here(folder, *WORDS).code == 0
    (directory,) = runs(folder)
    return directory


@pytest.fixture(scope="module")
def events(run):
    kept = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0, "histograms": 0, "tensors": 0})
    return kept.Reload()


def history(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


# the files


def test_a_run_directory_is_named_by_day_and_time(run):
    assert re.fullmatch(r"outputs/\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d-\d{6}", run.relative_to(run.parents[2]).as_posix())


def test_a_run_directory_holds_its_files(run):
    there = {path.name.partition(".out.")[0] for path in run.iterdir()}
    data = {"config.yaml", "run.json", "metrics.jsonl", "metrics.json", "checkpoints"}
    assert there == {*data, "satae-train.log", "events", "pictures", ".lock"}
    assert len(list(run.glob("events.out.tfevents.*"))) == 1


def test_the_configuration_file_holds_the_command_line_as_plain_data(run):
    config = validate(yaml.safe_load((run / "config.yaml").read_text()))
    assert (config.alpha, config.seed, config.epochs, config.act.name) == (0.2, 5, EPOCHS, "tanh")


def test_the_record_holds_command_seed_versions_and_times(run):
    record = read(run / "run.json")
    assert record["status"] == "finished"
    assert shlex.split(record["command"]) == ["satae-train", *WORDS]
    assert record["overrides"] == list(WORDS)
    assert (record["seed"], record["threads"], record["device"]) == (5, 1, "cpu")
    assert record["versions"]["torch"] == version("torch")
    assert record["started"] < record["ended"]


def test_the_metrics_log_has_one_line_an_epoch(run):
    assert [line["epoch"] for line in history(run)] == [1, 2, 3]


def test_the_metrics_have_their_keys(run):
    expected = {f"{split}/{name}" for split in ("train", "valid") for name in MEASURES}
    expected |= {f"encoder_norm/{layer}" for layer in LAYERS} | {"alpha", "lr", "samples_per_s"}
    rare = {"valid/code_sensitivity"}  # at epochs 1, 10, 100, ... and the last
    assert {*read(run / "metrics.json")} == expected | rare | {"wall_s"}
    assert [{*line} - {"epoch"} for line in history(run)] == [expected | rare, expected, expected | rare]


def test_the_final_metrics_are_those_of_the_last_epoch(run):
    metrics, last = read(run / "metrics.json"), history(run)[-1]
    assert {key: metrics[key] for key in last if key != "epoch"} == {k: v for k, v in last.items() if k != "epoch"}
    assert metrics["wall_s"] > 0
    assert metrics["alpha"] == 0.2


def test_the_metrics_are_consistent(run):
    for line in history(run):
        for split in ("train", "valid"):
            at = {name: line[f"{split}/{name}"] for name in MEASURES}
            assert at["total"] == pytest.approx(at["reconstruction"] + line["alpha"] * at["saturation"], rel=1e-5)
            for share in ("saturated_fraction", "dead_fraction"):
                layers = [at[f"{share}/{layer}"] for layer in LAYERS]
                assert at[share] == pytest.approx((16 * layers[0] + 4 * layers[1]) / 20)


def test_the_log_has_a_line_for_each_epoch(run):
    log = (run / "satae-train.log").read_text()
    assert len(re.findall(r"epoch \d/3", log)) == EPOCHS


def test_the_pictures_are_saved(run):
    saved = sorted(path.name for path in (run / "pictures").iterdir())
    assert saved == ["decoder_atoms.png", "encoder_filters.png", "reconstructions.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (run / "pictures").iterdir())


# the event file


def test_the_event_file_holds_the_same_numbers(run, events):
    tags = {*history(run)[-1]} - {"epoch"}
    assert {*events.Tags()["scalars"]} == tags
    for tag in tags:
        logged = [(event.step, event.value) for event in events.Scalars(tag)]
        lines = [line for line in history(run) if tag in line]
        assert logged == [(line["epoch"], pytest.approx(line[tag], rel=1e-6)) for line in lines], tag


def test_the_event_file_holds_the_pictures_as_they_are_saved(run, events):
    for tag in events.Tags()["images"]:
        last = events.Images(tag)[-1]
        assert last.step == EPOCHS
        assert last.encoded_image_string == (run / "pictures" / f"{tag}.png").read_bytes()
    assert {*events.Tags()["images"]} == {path.stem for path in (run / "pictures").iterdir()}


def test_the_event_file_holds_distributions(events):
    tags = {*(f"pre_activations/{layer}" for layer in LAYERS), "code"}
    assert {*events.Tags()["histograms"]} == tags
    units = {"pre_activations/layer1": 16, "pre_activations/layer2": 4, "code": 4}
    for tag in tags:
        assert events.Histograms(tag)[-1].histogram_value.num == units[tag] * 64


def test_the_event_file_holds_the_command_and_a_layout(run, events):
    text, layout = sorted(events.Tags()["tensors"], reverse=True)
    assert text.endswith("/text_summary")
    assert read(run / "run.json")["command"] in events.Tensors(text)[0].tensor_proto.string_val[0].decode()
    assert layout == "custom_scalars__config__"


# the model


def test_the_loaded_model_gives_the_measured_error(run):
    config = validate(yaml.safe_load((run / "config.yaml").read_text()))
    data, model = build.dataset(config), satae.load(run)
    statistics, x = data.statistics, data.batch(data.valid.x)
    noisy = NOISES.build(config.noise, data.span, model)(x, build.random_generator(METRICS_SEED, "valid"))
    with torch.no_grad():
        errors = ((model(noisy) - x) / statistics.std).square().mean()
    fvu = errors / ((x - statistics.mean) / statistics.std).square().mean()
    assert fvu.item() == pytest.approx(read(run / "metrics.json")["valid/fvu"], abs=1e-5)


@pytest.mark.parametrize("place", [str, lambda path: path], ids=["text", "path"])
def test_the_loaded_model_is_ready_to_use(run, place):
    model = satae.load(place(run))
    assert not any(part.training for part in model.modules())
    assert model(torch.rand(3, 1, 8, 8)).shape == (3, 1, 8, 8)


@pytest.mark.parametrize("words", [["arch=conv", "arch.channels=[4]", "arch.code=3"], ["data=manifold", "act=satlin"]])
def test_every_kind_of_model_loads(tmp_path, words):
    small = [word for word in TINY if "widths" not in word or "arch=conv" not in words]
    assert here(tmp_path, *small, "epochs=1", "arch.batch_norm=true", *words).code == 0
    (directory,) = runs(tmp_path)
    shape = (2,) if "data=manifold" in words else (1, 8, 8)
    assert satae.load(directory)(torch.zeros(3, *shape)).shape == (3, *shape)


class Malice:
    def __reduce__(self):
        return os.mkdir, ("harm",)


BROKEN = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1000]),
    "empty": lambda path: path.write_bytes(b""),
    "not a checkpoint": lambda path: path.write_text("hello"),
    "a pickle that runs code": lambda path: path.write_bytes(pickle.dumps(Malice())),
    "a checkpoint of torch's that runs code": lambda path: torch.save({"format": 2, "model": Malice()}, path),
    "tensors alone": lambda path: save_file({"a": torch.zeros(1)}, path),
    "nothing in it": lambda path: checkpoint.save(path, checkpoint.State({}, {})),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_hostile_checkpoint_is_refused_in_one_line_and_runs_nothing(run, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run / CHECKPOINTS_FOLDER, tmp_path / CHECKPOINTS_FOLDER)
    ((_, path),) = list_checkpoints(tmp_path)
    BROKEN[kind](path)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))) as refused:
        satae.load(tmp_path)
    assert len(str(refused.value).splitlines()) == 1
    assert not (tmp_path / "harm").exists()


def test_a_missing_checkpoint_is_reported_in_one_line(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint there; name a run directory") as refused:
        satae.load(tmp_path)
    assert len(str(refused.value).splitlines()) == 1


# repeating it, and what it leaves behind


def weights(directory):
    return latest_checkpoint(directory).part("model")


def untimed(run):
    return [{key: value for key, value in line.items() if not key.endswith("_s")} for line in history(run)]


def test_the_same_seed_gives_the_same_run_to_the_last_bit(run, tmp_path):
    torch.rand(7)  # the caller's generator plays no part
    assert here(tmp_path, *WORDS).code == 0
    (again,) = runs(tmp_path)
    ours, theirs = weights(run), weights(again)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert untimed(run) == untimed(again)


def test_another_seed_gives_another_run(run, tmp_path):
    assert here(tmp_path, *WORDS, "seed=6").code == 0
    assert untimed(runs(tmp_path)[0]) != untimed(run)


def global_state():
    hooks = [value for name, value in vars(module).items() if name.startswith("_global_") and name.endswith("hooks")]
    state = {
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "torch": torch.get_rng_state().tolist(),
        "python": random.getstate(),
        "numpy": [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],
        "hooks": [dict(hook) for hook in hooks],
        "threads": threading.active_count(),
        "excepthooks": (sys.excepthook, threading.excepthook),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "warnings": list(warnings.filters),
    }
    assert len(hooks) > 3
    return state


@pytest.mark.parametrize("words", [[], ["-m", "alpha=0,1"], ["alpha=-1"]], ids=["run", "sweep", "refusal"])
def test_a_run_leaves_nothing_behind_in_the_process(tmp_path, words):
    here(tmp_path, *TINY)  # what is imported late may leave its own marks
    before = global_state()
    here(tmp_path, *TINY, *words)
    after = global_state()
    assert {key for key in before if before[key] != after[key]} == set()


def test_runs_that_start_at_once_get_directories_of_their_own(tmp_path):
    command = [PROGRAM, *replaced([*TINY, "epochs=1"])]
    programs = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [program.wait(timeout=60) for program in programs] == [0, 0]
    assert len(runs(tmp_path)) == 2
    assert all(len(history(run)) == 1 for run in runs(tmp_path))


@pytest.mark.parametrize(
    "words",
    [["hydra.run.dir=run"], ["-m", "alpha=0,1", "hydra.sweep.dir=run"]],
    ids=["run", "sweep"],
)
def test_a_run_in_its_own_directory_reads_records_and_names_what_the_user_named(tmp_path, words):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((64, 4)))
    data = ("data=array", "data.path=x.npy", "epochs=1", "arch.widths=[2]")
    outcome = here(tmp_path, *TINY, *data, *words, "hydra.job.chdir=true")
    assert (outcome.code, outcome.err) == (0, "")
    for run in runs(tmp_path):
        assert read_config(run / "config.yaml").data.path == str(tmp_path / "x.npy")
        assert read(run / "run.json")["folder"] == str(tmp_path)
    assert f"tensorboard --logdir {runs(tmp_path)[0] if len(words) == 1 else 'run'}\n" in outcome.out


def test_a_run_in_its_own_directory_finds_the_relative_folder_of_data_sets(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, "own")
    folders = []
    monkeypatch.setattr("satae.train.train", lambda *_: folders.append((cache_folder(), Path.cwd())))
    assert here(tmp_path, *TINY, "hydra.run.dir=run", "hydra.job.chdir=true").code == 0
    assert folders == [(tmp_path / "own", tmp_path / "run")]


def test_a_sweep_has_its_table_if_each_run_works_in_its_own_directory(tmp_path):
    outcome = here(tmp_path, *TINY, "-m", "alpha=0,1", "hydra.sweep.dir=sweep", "hydra.job.chdir=true")
    assert outcome.code == 0
    assert "every run: sweep/runs.csv" in outcome.out
    assert (tmp_path / "sweep" / "runs.csv").is_file()


def test_runs_of_a_sweep_are_named_by_what_varies(tmp_path):
    assert here(tmp_path, *TINY, "-m", "alpha=0,1", "hydra.sweep.dir=sweep").code == 0
    assert [run.relative_to(tmp_path).as_posix() for run in runs(tmp_path)] == ["sweep/alpha=0", "sweep/alpha=1"]
    assert not math.isclose(*(read(run / "metrics.json")["alpha"] for run in runs(tmp_path)))


@pytest.mark.parametrize("best", [False, True])
def test_loading_a_sweep_or_a_diverged_run_says_what_it_is(tmp_path, best):
    sweep, run = tmp_path / "sweep", tmp_path / "sweep" / "seed=0"
    run.mkdir(parents=True)
    (sweep / "sweep.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"is a sweep; name one of its runs$"):
        satae.load(sweep, best=best)
    (run / "run.json").write_text(json.dumps({**RECORD, "status": "failed", "exit_code": 3}))
    with pytest.raises(FileNotFoundError, match=f"is a sweep; name one of its runs, such as {run}$"):
        satae.load(sweep, best=best)
    with pytest.raises(FileNotFoundError, match=r"the run failed in training \(exit code 3\) before its first one"):
        satae.load(run, best=best)
    refused = here(tmp_path, "rerun=sweep")
    assert refused.err == "satae-train: rerun=sweep: is a sweep; name one of its runs, such as rerun=sweep/seed=0\n"
