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
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter

from satae import atomic_write as files
from satae.loggers.tensorboard_logger import EVENT_FILE_NAME, EVENT_FILE_PREFIX

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
        files.replace(directory / f"{EVENT_FILE_PREFIX}{_following(directory):010}{kind}", content)
    for path in older:
        os.truncate(path, 0)


def tell_anew(home: Path, aside: Path, kind: str, content: bytes) -> None:
    """Have one of two directories say all of a kind: where that changes, the other one; for a while, if it is aside."""
    here = aside if _of_kind(aside, kind) else home
    told = _of_kind(here, kind)
    is_said = [path.read_bytes() for path in told] == [content]
    if is_said and (here == home or _age(told[0]) < PASSED):
        return
    rewrite(aside if here == home and told else home, kind, content)
    for path in told:
        path.unlink()


def _of_kind(directory: Path, kind: str) -> list[Path]:
    return sorted(directory.glob(f"{EVENT_FILE_PREFIX}*{kind}"))


def _is_done_with(path: Path) -> bool:
    """Whether a file is empty; it is removed once it has been for a while."""
    is_empty = path.stat().st_size == 0
    if is_empty and _age(path) > PASSED:
        path.unlink()
    return is_empty


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _following(directory: Path) -> int:
    dated = [found for path in directory.iterdir() if (found := EVENT_FILE_NAME.fullmatch(path.name))]
    return 1 + max((int(found[1]) for found in dated), default=0)
