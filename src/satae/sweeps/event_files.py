"""TensorBoard event files that are replaced as a whole, so that a running TensorBoard notices.

Two readers of TensorBoard must be served:

* the slow reader takes the files of a run in the order of their names, and stops for good at a file that is removed
  while it reads there. So an outdated file is emptied, and removed a minute later;
* the fast reader (tensorboard-data-server) keeps the first settings that it reads of a run until the run has no files.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter

from satae import atomic_write
from satae.loggers.tensorboard_logger import EVENT_FILE_NAME, EVENT_FILE_PREFIX

READ_SECONDS: Final = 60.0  # every reader has noticed an emptied file after this time


def encode_events(events: Iterable[Event], wall_time: float = 0.0) -> bytes:
    """The content of an event file, the same bytes each time; empty if there are no events."""
    content, found = io.BytesIO(), list(events)
    writer = RecordWriter(content)
    for event in [Event(file_version="brain.Event:2"), *found] if found else []:
        event.wall_time = wall_time
        writer.write(event.SerializeToString(deterministic=True))
    return content.getvalue()


def replace_events(directory: Path, suffix: str, content: bytes) -> None:
    """Write an event file that is read after all others, and empty the earlier ones with the same suffix.

    Nothing is written if the directory already has this content.

    Args:
        directory: directory of a run.
        suffix: end of the names of such files.
        content: content of the new file; empty to write none.
    """
    older = [path for path in _files_with(directory, suffix) if not _is_empty(path)]
    if [path.read_bytes() for path in older] == ([content] if content else []):
        return
    if content:
        dated = [found for path in directory.iterdir() if (found := EVENT_FILE_NAME.fullmatch(path.name))]
        number = 1 + max((int(found[1]) for found in dated), default=0)
        atomic_write.replace(directory / f"{EVENT_FILE_PREFIX}{number:010}{suffix}", content)
    for path in older:
        os.truncate(path, 0)


def replace_settings(home: Path, substitute: Path, suffix: str, content: bytes) -> None:
    """Write settings that the fast reader takes from one run only once.

    Settings that change move to the ``substitute`` directory, or back to ``home``. Unchanged settings move back
    ``home`` after a while.
    """
    current = substitute if _files_with(substitute, suffix) else home
    files = _files_with(current, suffix)
    is_unchanged = [path.read_bytes() for path in files] == [content]
    if is_unchanged and (current == home or _age(files[0]) < READ_SECONDS):
        return
    replace_events(substitute if current == home and files else home, suffix, content)
    for path in files:
        path.unlink()


def _files_with(directory: Path, suffix: str) -> list[Path]:
    return sorted(directory.glob(f"{EVENT_FILE_PREFIX}*{suffix}"))


def _is_empty(path: Path) -> bool:
    """Whether a file is empty; it is removed if it has been empty for a while."""
    is_empty = path.stat().st_size == 0
    if is_empty and _age(path) > READ_SECONDS:
        path.unlink()
    return is_empty


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime
