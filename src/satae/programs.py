"""The entry points of the five programs, which Ctrl-C ends without a traceback while they are still imported."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # first, until the program handles signals
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from importlib import import_module


def train() -> int:
    """Run ``satae-train``; returns the exit code."""
    return _run("satae.train")


def evaluate() -> int:
    """Run ``satae-eval``; returns the exit code."""
    return _run("satae.evaluate")


def report() -> int:
    """Run ``satae-report``; returns the exit code."""
    return _run("satae.report")


def export() -> int:
    """Run ``satae-export``; returns the exit code."""
    return _run("satae.export")


def datasets() -> int:
    """Run ``satae-data``; returns the exit code."""
    return _run("satae.datasets")


def _run(module: str) -> int:
    code: int = import_module(module).main()
    return code
