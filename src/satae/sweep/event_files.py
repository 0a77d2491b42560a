"""Event files that say all there is to say of something, each in the place of the one before.

A TensorBoard that runs has to come along, whichever way it reads:

* the slow reader takes the files of a run in the order of their names, and stays for good at one that is removed while
  it is there. So what is out of date is emptied, and removed a while later;
* the fast one (tensorboard-data-server) keeps the first that it reads of a run's settings, until the run has no files.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter

from satae import files
from satae.tracking.board import DATED, PREFIX

PASSED: Final = 60.0  # seconds after which every reader is past a file that was emptied


def encoded(events: Iterable[Event], wall_time: float = 0.0) -> bytes:
    """What a file of some events holds, the same each time; nothing of none."""
    content, told = io.BytesIO(), list(events)
    writer = RecordWriter(content)
    for event in [Event(file_version="brain.Event:2"), *told] if told else []:
        event.wall_time = wall_time
        writer.write(event.SerializeToString(deterministic=True))
    return content.getvalue()


def rewrite(directory: Path, kind: str, content: bytes) -> None:
    """Have a file say all of its kind, after the others of the directory, unless one says that already.

    Args:
        directory: of a run.
        kind: how the names of such files end.
        content: nothing where there is nothing to say any more.
    """
    older = [path for path in _of_kind(directory, kind) if not _is_done_with(path)]
    if [path.read_bytes() for path in older] == ([content] if content else []):
        return
    if content:
        files.replace(directory / f"{PREFIX}{_following(directory):010}{kind}", content)
    for path in older:
        os.truncate(path, 0)


def tell_anew(places: Sequence[Path], kind: str, content: bytes) -> None:
    """Have one of two directories say all of a kind, and the other nothing: which one changes with what is said."""
    here, there = sorted(places, key=lambda place: not _of_kind(place, kind))
    if [path.read_bytes() for path in _of_kind(here, kind)] != [content]:
        rewrite(there, kind, content)
        for path in _of_kind(here, kind):
            path.unlink()


def _of_kind(directory: Path, kind: str) -> list[Path]:
    return sorted(directory.glob(f"{PREFIX}*{kind}"))


def _is_done_with(path: Path) -> bool:
    """Whether a file is empty; it is removed once it has been for a while."""
    found = path.stat()
    if found.st_size == 0 and time.time() - found.st_mtime > PASSED:
        path.unlink()
    return found.st_size == 0


def _following(directory: Path) -> int:
    dated = [found for path in directory.iterdir() if (found := DATED.fullmatch(path.name))]
    return 1 + max((int(found[1]) for found in dated), default=0)
