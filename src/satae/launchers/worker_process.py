"""A process that makes runs for the main process: signals, failures of other runs, and its own end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Generic

from satae import signals
from satae.launchers.base import J, Share, Work, is_stopped

STOP_FILE_POLL_S: Final = 0.5
MAIN_PROCESS_POLL_S: Final = 1.0
GRACE_S: Final = 5  # for a checkpoint, after the main process has died


class JobRunner(Generic[J]):
    """Makes one run in a worker process, which receives this object as a pickle."""

    def __init__(self, work: Work[J], share: Share, prepare: Callable[[], None], stop_file: Path | None) -> None:
        self.work, self.share, self.prepare, self.stop_file = work, share, prepare, stop_file

    def run(self, job: J) -> int | None:
        """Make a run, unless this process was asked to end or another run has failed.

        Returns:
            The signal that ended the run or prevented it; None if the run finished or failed by itself, or ended
            because another run failed.
        """
        with suppress(signals.Interrupted):  # the run has written a checkpoint
            if not is_stopped(self.stop_file):
                self.prepare()
                with self._end_after_failures(), signals.hold_signals():
                    if self.work(job, self.share) and self.stop_file is not None:
                        self.stop_file.touch()
        return None if self.stop_file and self.stop_file.exists() else signals.pending_signal()

    @contextmanager
    def _end_after_failures(self) -> Iterator[None]:
        """End the run, with a checkpoint, when a run has failed in another process or on another machine."""
        if self.stop_file is None:
            yield
            return
        over = _start_watching(self.stop_file.exists, signals.request_end, STOP_FILE_POLL_S)
        try:
            yield
        finally:
            over.set()


def end_after_main_process(is_gone: Callable[[], bool]) -> None:
    """End this process, with a checkpoint, soon after the main process has died: it may be killed without warning."""

    def end() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_S)
        os._exit(1)

    _start_watching(is_gone, end, MAIN_PROCESS_POLL_S)


def _start_watching(condition: Callable[[], bool], action: Callable[[], None], poll_s: float) -> threading.Event:
    """Check a condition in a thread until it holds, then act; the event that is returned ends the thread."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(poll_s):
            if condition():
                action()
                return

    threading.Thread(target=watch, daemon=True).start()
    return over
