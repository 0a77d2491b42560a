"""The entry points of the five programs, which Ctrl-C ends without a traceback while they are still imported."""

from importlib import import_module

from satae import signals


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
    signals.end_without_traceback()  # until the program handles signals
    code: int = import_module(module).main()
    return code
