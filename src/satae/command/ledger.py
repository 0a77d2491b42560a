"""Where the runs of a command line are, whichever process they ran in."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """Where a run is."""

    directory: Path
    sweep: Path | None  # the directory of the sweep that it belongs to


class Ledger(NamedTuple):
    """A folder in which each run that begins leaves a note; what came of it stands in the run's own directory."""

    folder: Path

    def add(self, place: Place) -> None:
        """Leave a note; called by the run, in any process."""
        note = json.dumps([str(path) if path else None for path in place])
        (self.folder / uuid.uuid4().hex).write_text(note, encoding="utf-8")

    def places(self) -> list[Place]:
        """Of all runs that have begun, in no order."""
        notes = (json.loads(note.read_text("utf-8")) for note in self.folder.iterdir())
        return [Place(Path(directory), Path(sweep) if sweep else None) for directory, sweep in notes]


@contextmanager
def ledger() -> Iterator[Ledger]:
    """A new one, for as long as a command line takes."""
    with tempfile.TemporaryDirectory(prefix="satae-") as folder:
        yield Ledger(Path(folder))
