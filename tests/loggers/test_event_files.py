import os

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from satae.loggers import tensorboard_logger
from satae.loggers.tensorboard_logger import READ_SECONDS, encode_events, replace_events, replace_settings


def saying(value):
    return encode_events([Event(step=1, summary=Summary(value=[Summary.Value(tag="x", simple_value=value)]))])


def said(folder):
    return [event.value for event in EventAccumulator(str(folder)).Reload().Scalars("x")]


def names(folder):
    return [path.name.removeprefix("events.out.tfevents.") for path in sorted(folder.glob("events*"))]


@pytest.fixture
def later(monkeypatch):
    """Let a while go by."""
    now = tensorboard_logger.time.time()
    return lambda: monkeypatch.setattr(tensorboard_logger.time, "time", lambda: now + 2 * READ_SECONDS)


def test_a_new_event_file_empties_the_earlier_one_which_is_removed_later(tmp_path, later):
    replace_events(tmp_path, ".band", saying(1))
    replace_events(tmp_path, ".band", saying(2))
    assert names(tmp_path) == ["0000000001.band", "0000000002.band"]
    assert os.path.getsize(tmp_path / "events.out.tfevents.0000000001.band") == 0
    assert said(tmp_path) == [2]
    later()
    replace_events(tmp_path, ".band", saying(2))
    assert names(tmp_path) == ["0000000002.band"]


def test_unchanged_events_are_not_written_again(tmp_path):
    for _ in range(2):
        replace_events(tmp_path, ".band", saying(1))
    assert names(tmp_path) == ["0000000001.band"]


def test_a_new_event_file_sorts_after_all_existing_ones(tmp_path):
    (tmp_path / "events.out.tfevents.1795625899.host.1.0").write_bytes(encode_events([]))
    replace_events(tmp_path, ".end", saying(1))
    assert names(tmp_path) == ["1795625899.host.1.0", "1795625900.end"]


def test_events_replaced_by_nothing_leave_an_empty_file(tmp_path):
    replace_events(tmp_path, ".end", saying(1))
    replace_events(tmp_path, ".end", encode_events([]))
    replace_events(tmp_path, ".end", encode_events([]))
    assert names(tmp_path) == ["0000000001.end"]
    assert os.path.getsize(tmp_path / "events.out.tfevents.0000000001.end") == 0


def test_changed_settings_move_to_the_substitute_directory_for_a_while(tmp_path, later):
    aside = tmp_path / "aside"
    aside.mkdir()
    for value, there in [(1, tmp_path), (1, tmp_path), (2, aside), (2, aside)]:
        replace_settings(tmp_path, aside, ".sweep", saying(value))
        assert [folder for folder in (tmp_path, aside) if names(folder)] == [there]
        assert said(there) == [value]
    later()
    replace_settings(tmp_path, aside, ".sweep", saying(2))
    assert (said(tmp_path), names(aside)) == ([2], [])
