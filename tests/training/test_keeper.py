"""When checkpoints are written, and which are kept."""

import errno
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from satae.training import checkpoint, checkpoint_folder, keeper
from satae.training.checkpoint import State
from satae.training.keeper import Keeper

NEVER = {"every_minutes": None, "every_epochs": None, "every_steps": None, "keep": 2}


class Clock:
    """A clock that stands still but for what is written, which takes ``cost`` seconds."""

    def __init__(self, monkeypatch, cost):
        self.now, self.cost, self.written = 100.0, cost, []
        monkeypatch.setattr(keeper.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(checkpoint, "save", self.save)

    def save(self, path, state):
        self.now += self.cost
        self.written.append((path.name, state))


def state(value=0):
    return State({"value": value}, {})


def test_by_steps_by_epochs_or_never(tmp_path):
    never = Keeper(tmp_path, **NEVER)
    assert not any(never.due(step, step) for step in range(1, 1000))
    steps = Keeper(tmp_path, **{**NEVER, "every_steps": 3})
    assert [step for step in range(1, 10) if steps.due(step)] == [3, 6, 9]
    epochs = Keeper(tmp_path, **{**NEVER, "every_epochs": 2})
    assert [epoch for epoch in range(1, 7) if epochs.due(7 * epoch, epoch)] == [2, 4, 6]
    assert not any(epochs.due(step) for step in range(1, 10))


def test_by_time(tmp_path, monkeypatch):
    clock = Clock(monkeypatch, cost=0.5)
    by_time = Keeper(tmp_path, **{**NEVER, "every_minutes": 2})
    assert not by_time.due(1)
    clock.now += 119
    assert not by_time.due(2)
    clock.now += 1
    assert by_time.due(3)
    by_time.write(3, state())
    assert not by_time.due(4)
    clock.now += 120
    assert by_time.due(5)


def test_writing_takes_no_more_than_its_share_of_the_time(tmp_path, monkeypatch):
    clock = Clock(monkeypatch, cost=60)
    by_time = Keeper(tmp_path, **{**NEVER, "every_minutes": 1})
    started = clock.now
    for step in range(1, 20_000):
        clock.now += 10.0
        if by_time.due(step):
            by_time.write(step, state())
    spent = 60 * len(clock.written)
    assert 0.5 * keeper.SHARE < spent / (clock.now - started) < 1.1 * keeper.SHARE


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_the_last_few_are_kept(tmp_path, keep):
    kept = Keeper(tmp_path, **{**NEVER, "keep": keep})
    for step in (5, 50, 500, 5000):
        kept.write(step, state(step))
    found = [checkpoint.load(path).facts["value"] for _, path in checkpoint_folder.newest_first(tmp_path)]
    assert found == [5000, 500, 50, 5][:keep]


@pytest.mark.parametrize("keep", [1, 2])
def test_one_that_was_passed_over_pushes_no_good_one_out(tmp_path, keep):
    before = Keeper(tmp_path, **{**NEVER, "keep": 3})
    for step in (5, 6, 9):
        before.write(step, state(step))
    checkpoint_folder.place(tmp_path, 9).write_bytes(b"torn")
    Keeper(tmp_path, **{**NEVER, "keep": keep}).write(7, state(7))  # went on from 6
    found = [checkpoint.load(path).facts["value"] for _, path in checkpoint_folder.newest_first(tmp_path)]
    assert found == [7, 6][:keep]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_only_what_is_damaged_is_removed_before_its_time(tmp_path, monkeypatch, number):
    before = Keeper(tmp_path, **{**NEVER, "keep": 3})
    before.write(5, state(5))
    torn, newer, unreadable = (checkpoint_folder.place(tmp_path, step) for step in (7, 8, 9))
    torn.write_bytes(b"torn")
    save_file({"a": torch.zeros(2)}, newer, {"format": str(checkpoint.FORMAT + 1)})
    checkpoint.save(unreadable, state(9))
    refuse(monkeypatch, unreadable, number)
    before.write(6, state(6))
    monkeypatch.undo()
    assert [step for step, _ in checkpoint_folder.newest_first(tmp_path)] == [9, 8, 6, 5]


def refuse(monkeypatch, refused, number):
    """Have the system not let a file be read."""
    real = Path.open

    def opened(path, *words, **named):
        if path == refused:
            raise OSError(number, os.strerror(number))
        return real(path, *words, **named)

    monkeypatch.setattr(Path, "open", opened)


def test_the_best_is_written_with_the_next_checkpoint(tmp_path):
    kept = Keeper(tmp_path, **NEVER)
    best = checkpoint_folder.best(tmp_path)
    kept.consider(3.0, lambda: state(3))
    kept.consider(2.0, lambda: state(2))
    kept.consider(2.5, lambda: state(2.5))
    assert not best.exists()
    kept.write(1, state())
    assert (checkpoint.load(best).facts["value"], kept.best) == (2, 2.0)
    kept.consider(2.1, lambda: state(2.1))
    kept.write(2, state())
    assert checkpoint.load(best).facts["value"] == 2


def test_the_best_is_on_the_disk_before_the_checkpoint_that_knows_of_it(tmp_path, monkeypatch):
    clock = Clock(monkeypatch, cost=0)
    kept = Keeper(tmp_path, **NEVER)
    kept.consider(1.0, lambda: state(1))
    kept.write(7, state())
    kept.write(8, state())
    written = [checkpoint_folder.place(tmp_path, step) for step in (7, 8)]
    names = [path.name for path in (checkpoint_folder.best(tmp_path), *written)]
    assert [name for name, _ in clock.written] == names


def test_the_best_so_far_is_remembered(tmp_path):
    kept = Keeper(tmp_path, **NEVER, best=1.0)
    kept.consider(2.0, lambda: state(2))
    kept.write(1, state())
    assert not checkpoint_folder.best(tmp_path).exists()


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    Keeper(tmp_path, **NEVER).write(1, state())
    torn = tmp_path / "checkpoints" / ".step-000000002.safetensors.partial"
    torn.write_bytes(b"half")
    Keeper(tmp_path, **NEVER)
    assert not torn.exists()
    assert len(checkpoint_folder.newest_first(tmp_path)) == 1
