"""What happens in a process that makes runs for another one: signals, failures elsewhere, and its own end."""

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
from satae.launchers.base import J, Share, Work, is_stopped, run_job

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
            The signal that ended the run, or kept it from starting; None if it came to an end of its own, or if the
            failure of another run ended it.
        """
        with suppress(signals.Interrupted):  # the run has left a checkpoint
            if not is_stopped(self.stop_file):
                self.prepare()
                with _watch(self.stop_file), signals.hold_signals():
                    run_job(self.work, job, self.share, self.stop_file)
        return None if self.stop_file and self.stop_file.exists() else signals.pending_signal()


@contextmanager
def _watch(stop_file: Path | None) -> Iterator[None]:
    """Ask this process to end, with a checkpoint, when a run has failed in another process or on another machine."""
    if stop_file is None:
        yield
        return
    over = threading.Event()

    def look() -> None:
        while not over.wait(STOP_FILE_POLL_S):
            if stop_file.exists():
                signals.request_end()
                return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def end_when(main_process_is_gone: Callable[[], bool]) -> None:
    """End this process soon after the main process has died, which may be killed before it can end its workers.

    The run has the time to write a checkpoint.
    """

    def look() -> None:
        while not main_process_is_gone():
            time.sleep(MAIN_PROCESS_POLL_S)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_S)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()
