"""Folders in which a report or an export is written: killed programs leave them, and the next one removes them."""

import fcntl
import os
import socket

import pytest

from satae.atomic_write import hidden_folder


@pytest.fixture
def left(tmp_path):
    """A folder that a killed process has left."""
    context = hidden_folder(tmp_path, "report")
    folder = context.__enter__()
    (folder / "index.html").touch()
    handle = os.open(folder, os.O_RDONLY)
    yield folder, context
    os.close(handle)


def test_a_folder_in_use_is_left_alone(left, tmp_path):
    folder, context = left
    with hidden_folder(tmp_path, "report") as other:
        assert (folder / "index.html").exists()
        assert other != folder
    assert not other.exists()
    context.__exit__(None, None, None)
    assert not folder.exists()


def test_a_folder_of_a_killed_process_is_removed(tmp_path):
    with hidden_folder(tmp_path, "report") as folder:
        name = folder.name
    for abandoned in (name, name.replace("report", "export")):
        (tmp_path / abandoned).mkdir()
        (tmp_path / abandoned / "index.html").touch()
    with hidden_folder(tmp_path, "report") as folder:
        assert {path.name for path in tmp_path.iterdir()} == {folder.name, name.replace("report", "export")}


@pytest.mark.parametrize("kind", ["link", "file", "of another host", "of the user"])
def test_nothing_else_is_removed(kind, tmp_path, monkeypatch):
    with hidden_folder(tmp_path, "report") as folder:
        name = folder.name
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    if kind == "link":
        (tmp_path / name).symlink_to(tmp_path / "precious")
    elif kind == "file":
        (tmp_path / name).touch()
    else:
        (tmp_path / (".report-mine" if kind == "of the user" else name)).mkdir()
        monkeypatch.setattr(socket, "gethostname", lambda: "another")
    before = sorted(tmp_path.rglob("*"))
    with hidden_folder(tmp_path, "report"):
        pass
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_system_without_locks_keeps_what_was_left(left, tmp_path, monkeypatch):
    def no_locks(handle, operation):
        raise OSError(95, "not supported")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with hidden_folder(tmp_path, "report") as folder:
        assert left[0].exists()
    assert not folder.exists()
