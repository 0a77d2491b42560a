"""``fail_fast=true``: the failure of one run ends the others, whichever processes and machines they are on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from satae import signals as interruption

SIGN: Final = ".failed"  # the file in the folder of a sweep that says so
LOOK: Final = 0.5  # seconds between two looks for it


@contextmanager
def listening(sign: Path | None) -> Iterator[None]:
    """Have the run of a worker process end, with a checkpoint, once another one has failed.

    Args:
        sign: the file that appears then; None where failures end nothing else.
    """
    if sign is None:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_look, args=(sign, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _look(sign: Path, over: threading.Event) -> None:
    while not over.wait(LOOK):
        if sign.exists():
            interruption.ask()
            return
