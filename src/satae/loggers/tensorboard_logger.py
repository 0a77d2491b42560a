"""TensorBoard event files: the one that a run appends to, and those that are replaced as a whole.

A running TensorBoard notices a replaced file only if two readers are served:

* the slow reader takes the files of a run in the order of their names, and stops for good at a file that is removed
  while it reads there. So an outdated file is emptied, and removed a minute later;
* the fast reader (tensorboard-data-server) keeps the first settings that it reads of a run until the run has no files.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from satae import atomic_write
from satae.config.registry import LOGGERS
from satae.loggers.base import Logger
from satae.messages import quote_word
from satae.plots.style import Picture
from satae.runs.layout import EVENT_FILE_PREFIX, OUTPUTS_FOLDER, shorten
from satae.training.metric_titles import TITLES

CHART_LAYOUT: Final = {
    "satae": {
        f"error: {TITLES['fvu'].long}": ["Multiline", ["^train/fvu$", "^valid/fvu$"]],
        f"{TITLES['saturated_fraction'].long} of each layer": ["Multiline", ["^valid/saturated_fraction/"]],
        "loss": ["Multiline", ["^valid/total$", "^valid/reconstruction$", "^valid/saturation$"]],
        f"{TITLES['dead_fraction'].long} of each layer": ["Multiline", ["^valid/dead_fraction/"]],
    }
}
EVENT_FILE_NAME: Final = re.compile(re.escape(EVENT_FILE_PREFIX) + r"(\d{10})(\..*)", re.ASCII)  # second, rest
READ_SECONDS: Final = 60.0  # every reader has noticed an emptied file after this time


@LOGGERS.register("tensorboard", writes_events=True)
class TensorBoardLogger(Logger):
    """Logs to an event file in the run's directory; :class:`Logger` says what the methods do.

    TensorBoard drops the epoch ``resume_from`` and later ones of earlier event files.

    Tags, which the experiment gives:

        train/<metric>, valid/<metric>[/<layer>]    metrics of each split, such as valid/saturated_fraction/layer1
        alpha, lr, samples_per_s    the epoch itself
        encoder_norm/<layer>    weight norms
        pre_activations/<layer>, code    histograms
        reconstructions, encoder_filters, decoder_atoms, energy    pictures

    The names of metrics are in ``satae.training.metrics``, their titles in ``satae.training.metric_titles``.
    """

    def __init__(self, directory: Path, resume_from: int | None) -> None:
        _sort_before_now(directory)
        self._directory = directory
        earlier = {*directory.glob(f"{EVENT_FILE_PREFIX}*")}
        self._writer = SummaryWriter(str(directory), purge_step=resume_from)
        self._file_writer: Any = self._writer.file_writer  # whose type torch gives as None
        self._files = {*directory.glob(f"{EVENT_FILE_PREFIX}*")} - earlier

    def log_command(self, command: str) -> None:
        self._writer.add_custom_scalars(CHART_LAYOUT)
        self._writer.add_text("run", code_block(command))

    def log_scalars(self, values: Mapping[str, float], epoch: int) -> None:
        # one event takes a fifth of the time of an event for each number
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
        self._file_writer.add_summary(summary, epoch)

    def log_histograms(self, values: Mapping[str, Tensor], epoch: int) -> None:
        for tag, value in values.items():
            self._writer.add_histogram(tag, value.detach().flatten().cpu().numpy(), epoch)

    def log_images(self, images: Mapping[str, Picture], epoch: int) -> None:
        for tag, picture in images.items():
            self._file_writer.add_summary(image_summary(tag, picture), epoch)

    def flush(self) -> None:
        self._writer.flush()
        for path in self._files:
            atomic_write.sync(path)

    def close(self) -> None:
        self._writer.close()

    def end_message(self) -> str:
        return f"TensorBoard  {tensorboard_command(self._directory)}"


def _sort_before_now(directory: Path) -> None:
    """Rename earlier event files whose names are dated in the future, as happens when a clock was set back.

    TensorBoard reads the files of a run in the order of their names, which begin with the second of their creation.
    """
    dated = sorted(
        (found.groups(), path) for path in directory.iterdir() if (found := EVENT_FILE_NAME.fullmatch(path.name))
    )
    now = int(time.time())
    for number, ((second, rest), path) in enumerate(dated):
        latest = now - len(dated) + number
        if int(second) > latest:
            path.rename(path.with_name(f"{EVENT_FILE_PREFIX}{latest:010}{rest}"))


def tensorboard_command(directory: Path) -> str:
    """The command that shows all runs in ``outputs/``, or those in a directory that lies elsewhere."""
    shown = shorten(directory)
    folder = OUTPUTS_FOLDER if shown.parts[:1] == (OUTPUTS_FOLDER,) else str(shown)
    return f"tensorboard --logdir {quote_word(folder)}"


def image_summary(tag: str, picture: Picture) -> Summary:
    """A picture as TensorBoard stores it."""
    image = Summary.Image(height=picture.height, width=picture.width, colorspace=3, encoded_image_string=picture.png)
    return Summary(value=[Summary.Value(tag=tag, image=image)])


def code_block(text: str) -> str:
    """Markdown that shows a text as it is: a block of code with a fence that is longer than any in the text."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"


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
