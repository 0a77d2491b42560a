"""Checkpoints: whole or not at all, and never code."""

import contextlib
import io
import os
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import satae
from satae import build
from satae.experiment import Experiment
from satae.training import checkpoint
from satae.training.fit import fit


@pytest.fixture
def path(tmp_path):
    return tmp_path / checkpoint.NAME


def state():
    return {"a": torch.arange(5.0), "b": {"c": [1, 2.5, "x", None, True]}, "n": torch.tensor(3, dtype=torch.int64)}


class Code:
    """Creates a file when it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


# Round trips


def test_what_was_saved_is_loaded(path):
    checkpoint.save(path, state())
    loaded = checkpoint.load(path)
    assert loaded.pop("format") == checkpoint.FORMAT
    assert loaded.keys() == state().keys()
    assert torch.equal(loaded["a"], state()["a"])
    assert loaded["n"].dtype == torch.int64
    assert loaded["b"] == state()["b"]


def trained(config) -> Experiment:
    experiment = Experiment.of(config)
    noise = experiment.corrupt(build.stream(config.seed, "noise"))
    for _ in fit(
        experiment.model,
        experiment.data,
        experiment.objective,
        noise,
        experiment.optimiser,
        lambda done: config.alpha,
        epochs=config.epochs,
        batch_size=config.batch_size,
        order=build.stream(config.seed, "order"),
    ):
        pass
    return experiment


@pytest.mark.parametrize("arch", ["mlp", "conv"])
def test_a_trained_experiment_comes_back_bit_for_bit(path, configuration, arch):
    sizes = {"mlp": "arch.widths=[9,5]", "conv": "arch.channels=[3]"}[arch]
    config = configuration(f"arch={arch}", sizes, "arch.batch_norm=true", "data.limit=40", "epochs=2", "batch_size=16")
    experiment, x = trained(config), torch.rand(3, 1, 8, 8)
    checkpoint.save(path, experiment.state())
    model, loaded = satae.load(path.parent), checkpoint.load(path)
    assert not model.training
    assert torch.equal(model(x), experiment.model.eval()(x))
    optimiser = build.optimiser(config, model)
    optimiser.load_state_dict(loaded["optimiser"])
    for ours, theirs in zip(
        optimiser.state_dict()["state"].values(), experiment.optimiser.state_dict()["state"].values(), strict=True
    ):
        assert all(torch.equal(ours[key], theirs[key]) for key in ("exp_avg", "exp_avg_sq", "step"))


# Replaced as a whole


def test_a_second_save_replaces_the_first_and_nothing_else_is_left(path):
    checkpoint.save(path, {"a": 1})
    checkpoint.save(path, {"a": 2})
    assert checkpoint.load(path)["a"] == 2
    assert list(path.parent.iterdir()) == [path]


def test_the_old_file_survives_a_save_that_fails_halfway(path, monkeypatch):
    checkpoint.save(path, {"a": 1})

    def half(_, file):
        file.write(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint.torch, "save", half)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save(path, {"a": 2})
    monkeypatch.undo()
    assert checkpoint.load(path)["a"] == 1
    assert list(path.parent.iterdir()) == [path]


def test_the_old_file_is_whole_until_the_new_one_is(path, monkeypatch):
    checkpoint.save(path, {"a": 1})
    seen, save = [], torch.save

    def watched(content, file):
        save(content, file)
        seen.append(checkpoint.load(path)["a"])

    monkeypatch.setattr(checkpoint.torch, "save", watched)
    checkpoint.save(path, {"a": 2})
    assert (seen, checkpoint.load(path)["a"]) == ([1], 2)


def test_who_reads_the_old_file_while_the_new_one_takes_its_place_reads_all_of_it(path):
    checkpoint.save(path, {"a": 1})
    before = path.read_bytes()
    with path.open("rb") as reader:
        checkpoint.save(path, {"a": 2})
        assert reader.read() == before


# Refusals


def test_a_missing_file(path):
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        checkpoint.load(path)


@pytest.mark.parametrize("content", [{"format": 2}, {"format": None}, {"a": 1}, [1, 2], torch.zeros(2), 5])
def test_another_format(path, content):
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"checkpoint of format .* reads format 1"):
        checkpoint.load(path)


@pytest.mark.parametrize("write", [lambda content, file: torch.save(content, file), pickle.dump])
def test_a_pickle_with_code_is_refused_and_not_run(path, write):
    mark = path.parent / "executed"
    with path.open("wb") as file:
        write({"format": checkpoint.FORMAT, "evil": Code(mark)}, file)
    with pytest.raises(ValueError, match="not a checkpoint that can be read"):
        checkpoint.load(path)
    assert not mark.exists()
    torch.load(path, weights_only=False) if write is not pickle.dump else pickle.loads(path.read_bytes())
    assert mark.exists()  # it would have run


def test_a_whole_module_is_refused(path):
    torch.save({"format": checkpoint.FORMAT, "model": nn.Linear(2, 2)}, path)
    with pytest.raises(ValueError, match="not a checkpoint that can be read"):
        checkpoint.load(path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(path, share):
    checkpoint.save(path, state())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="not a checkpoint that can be read"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    "content", [b"hello world", b"version https://git-lfs", b"PK\x03\x04", b"\x80\x02", b"<html>", b"."]
)
def test_a_file_of_another_kind_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a checkpoint that can be read"):
        checkpoint.load(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(content=st.binary(max_size=80))
def test_so_is_any_other_content(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a checkpoint that can be read"):
        checkpoint.load(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(place=st.floats(0, 1), value=st.integers(0, 255))
def test_a_damaged_file_is_loaded_or_refused(path, place, value):
    whole = io.BytesIO()
    torch.save({"format": checkpoint.FORMAT, **state()}, whole)
    content = bytearray(whole.getvalue())
    first, end = content.index(b"\x80\x02"), content.index(b"PK", 4)  # its pickle
    content[first + int(place * (end - first - 1))] = value
    path.write_bytes(content)
    with contextlib.suppress(ValueError):
        assert checkpoint.load(path)["format"] == checkpoint.FORMAT


@pytest.mark.parametrize("missing", ["config", "shape", "model"])
def test_a_checkpoint_without_a_model_is_refused_by_load(path, configuration, missing):
    whole = Experiment.of(configuration("arch.widths=[4]", "data.limit=20")).state()
    del whole[missing]
    checkpoint.save(path, whole)
    with pytest.raises(ValueError, match="does not hold a model of this program"):
        satae.load(path.parent)


def test_a_checkpoint_of_another_shape_is_refused_by_load(path, configuration):
    whole = Experiment.of(configuration("arch.widths=[4]", "data.limit=20")).state()
    checkpoint.save(path, whole | {"shape": [1, 9, 9]})
    with pytest.raises(ValueError, match="does not hold a model of this program"):
        satae.load(path.parent)


# How often


class Clock:
    """A clock that stands still but for what is written, which takes ``cost`` seconds."""

    def __init__(self, monkeypatch, cost):
        self.now, self.written = 100.0, []
        monkeypatch.setattr(checkpoint.time, "perf_counter", lambda: self.now)

        def save(path, content):
            self.now += cost
            self.written.append(content)

        monkeypatch.setattr(checkpoint, "save", save)


def test_the_first_is_due_and_the_next_only_later(path, monkeypatch):
    clock = Clock(monkeypatch, cost=1.0)
    keeper = checkpoint.Keeper(path)
    assert keeper.due()
    keeper.keep({"epoch": 1})
    assert not keeper.due()
    keeper.keep({"epoch": 2})  # the final one is written all the same
    assert clock.written == [{"epoch": 1}, {"epoch": 2}]


def test_writing_takes_no_more_than_its_share_of_the_time(path, monkeypatch):
    clock = Clock(monkeypatch, cost=0.5)
    keeper, started = checkpoint.Keeper(path), clock.now
    for epoch in range(1, 2001):
        clock.now += 1.0
        if keeper.due():
            keeper.keep({"epoch": epoch})
    spent = 0.5 * len(clock.written)
    assert 0.5 * checkpoint.SHARE < spent / (clock.now - started) < 1.1 * checkpoint.SHARE
