"""When checkpoints are written, and which are kept."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from satae.config.schema import Checkpoints
from satae.training import checkpoint
from satae.training.checkpoint import CheckpointManager, State, best_path, checkpoint_path, list_checkpoints

NEVER = Checkpoints(every_minutes=None, every_epochs=None, every_steps=None, keep=2)


class Clock:
    """A clock that stands still but for what is written, which takes ``cost`` seconds."""

    def __init__(self, monkeypatch, cost):
        self.now, self.cost, self.written = 100.0, cost, []
        monkeypatch.setattr(checkpoint.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(checkpoint, "save", self.save)

    def save(self, path, state):
        self.now += self.cost
        self.written.append((path.name, state))


def state(value=0):
    return State({"value": value}, {})


def test_checkpoints_are_due_by_steps_by_epochs_or_never(tmp_path):
    never = CheckpointManager(tmp_path, NEVER)
    assert not any(never.should_save(step, step) for step in range(1, 1000))
    steps = CheckpointManager(tmp_path, replace(NEVER, every_steps=3))
    assert [step for step in range(1, 10) if steps.should_save(step)] == [3, 6, 9]
    epochs = CheckpointManager(tmp_path, replace(NEVER, every_epochs=2))
    assert [epoch for epoch in range(1, 7) if epochs.should_save(7 * epoch, epoch)] == [2, 4, 6]
    assert not any(epochs.should_save(step) for step in range(1, 10))


def test_checkpoints_are_due_by_time(tmp_path, monkeypatch):
    clock = Clock(monkeypatch, cost=0.5)
    by_time = CheckpointManager(tmp_path, replace(NEVER, every_minutes=2))
    assert not by_time.should_save(1)
    clock.now += 119
    assert not by_time.should_save(2)
    clock.now += 1
    assert by_time.should_save(3)
    by_time.save(3, state())
    assert not by_time.should_save(4)
    clock.now += 120
    assert by_time.should_save(5)


def test_timed_checkpoints_take_no_more_than_their_share_of_the_time(tmp_path, monkeypatch):
    clock = Clock(monkeypatch, cost=60)
    by_time = CheckpointManager(tmp_path, replace(NEVER, every_minutes=1))
    started = clock.now
    for step in range(1, 20_000):
        clock.now += 10.0
        if by_time.should_save(step):
            by_time.save(step, state())
    spent = 60 * len(clock.written)
    assert 0.5 * checkpoint.TIME_SHARE < spent / (clock.now - started) < 1.1 * checkpoint.TIME_SHARE


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_the_newest_checkpoints_are_kept(tmp_path, keep):
    kept = CheckpointManager(tmp_path, replace(NEVER, keep=keep))
    for step in (5, 50, 500, 5000):
        kept.save(step, state(step))
    found = [checkpoint.load(path).facts["value"] for _, path in list_checkpoints(tmp_path)]
    assert found == [5000, 500, 50, 5][:keep]


@pytest.mark.parametrize("keep", [1, 2])
def test_a_skipped_damaged_checkpoint_displaces_no_good_one(tmp_path, keep):
    before = CheckpointManager(tmp_path, replace(NEVER, keep=3))
    for step in (5, 6, 9):
        before.save(step, state(step))
    checkpoint_path(tmp_path, 9).write_bytes(b"torn")
    CheckpointManager(tmp_path, replace(NEVER, keep=keep)).save(7, state(7))  # went on from 6
    found = [checkpoint.load(path).facts["value"] for _, path in list_checkpoints(tmp_path)]
    assert found == [7, 6][:keep]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_only_damaged_later_checkpoints_are_deleted(tmp_path, monkeypatch, number):
    before = CheckpointManager(tmp_path, replace(NEVER, keep=3))
    before.save(5, state(5))
    torn, newer, unreadable = (checkpoint_path(tmp_path, step) for step in (7, 8, 9))
    torn.write_bytes(b"torn")
    save_file({"a": torch.zeros(2)}, newer, {"format": str(checkpoint.FORMAT + 1)})
    checkpoint.save(unreadable, state(9))
    refuse(monkeypatch, unreadable, number)
    before.save(6, state(6))
    monkeypatch.undo()
    assert [step for step, _ in list_checkpoints(tmp_path)] == [9, 8, 6, 5]


def refuse(monkeypatch, refused, number):
    """Have the system not let a file be read."""
    real = Path.open

    def opened(path, *words, **named):
        if path == refused:
            raise OSError(number, os.strerror(number))
        return real(path, *words, **named)

    monkeypatch.setattr(Path, "open", opened)


def test_the_best_weights_are_written_with_the_next_checkpoint(tmp_path):
    kept = CheckpointManager(tmp_path, NEVER)
    best = best_path(tmp_path)
    kept.offer_best(3.0, lambda: state(3))
    kept.offer_best(2.0, lambda: state(2))
    kept.offer_best(2.5, lambda: state(2.5))
    assert not best.exists()
    kept.save(1, state())
    assert (checkpoint.load(best).facts["value"], kept.best) == (2, 2.0)
    kept.offer_best(2.1, lambda: state(2.1))
    kept.save(2, state())
    assert checkpoint.load(best).facts["value"] == 2


def test_the_best_weights_are_written_before_the_checkpoint_that_names_their_loss(tmp_path, monkeypatch):
    clock = Clock(monkeypatch, cost=0)
    kept = CheckpointManager(tmp_path, NEVER)
    kept.offer_best(1.0, lambda: state(1))
    kept.save(7, state())
    kept.save(8, state())
    written = [checkpoint_path(tmp_path, step) for step in (7, 8)]
    names = [path.name for path in (best_path(tmp_path), *written)]
    assert [name for name, _ in clock.written] == names


def test_a_worse_loss_than_before_resuming_writes_no_best_weights(tmp_path):
    kept = CheckpointManager(tmp_path, NEVER, best=1.0)
    kept.offer_best(2.0, lambda: state(2))
    kept.save(1, state())
    assert not best_path(tmp_path).exists()


def test_half_written_files_of_a_killed_process_are_deleted(tmp_path):
    CheckpointManager(tmp_path, NEVER).save(1, state())
    torn = tmp_path / "checkpoints" / ".step-000000002.safetensors.partial"
    torn.write_bytes(b"half")
    CheckpointManager(tmp_path, NEVER)
    assert not torn.exists()
    assert len(list_checkpoints(tmp_path)) == 1
