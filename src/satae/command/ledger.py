"""The runs that a command line has begun, whichever process they are in."""

from __future__ import annotations

import json
import logging
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from satae import files

log = logging.getLogger(__name__)


class Begun(NamedTuple):
    """A run that has begun."""

    directory: Path
    sweep: Path | None  # the directory of the sweep that it belongs to


class Ledger(NamedTuple):
    """A folder in which each run that begins leaves a note; what came of it stands in the run's own directory."""

    folder: Path

    def add(self, run: Begun) -> None:
        """Leave a note; called by the run, in any process.

        A run does not end for want of a note: that it is missing is told in the end.
        """
        note = json.dumps([str(path) if path else None for path in run])
        try:
            self.folder.mkdir(exist_ok=True)  # what cleans up temporary folders may have come by
            files.replace(self.folder / uuid.uuid4().hex, note.encode())
        except OSError as error:
            log.warning("no note in %s (%s): the end of the program will not know of this run", self.folder, error)

    def begun(self) -> list[Begun]:
        """All runs that have begun, in no order."""
        whole = [note for note in self.folder.glob("*") if note.suffix != files.PARTIAL]  # none, if the folder is gone
        notes = (json.loads(note.read_text("utf-8")) for note in whole)
        return [Begun(Path(directory), Path(sweep) if sweep else None) for directory, sweep in notes]


@contextmanager
def ledger() -> Iterator[Ledger]:
    """A new one, for as long as a command line takes."""
    with tempfile.TemporaryDirectory(prefix="satae-", ignore_cleanup_errors=True) as folder:
        yield Ledger(Path(folder))
