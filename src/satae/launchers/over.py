"""Runs that processes of a launcher have made, whose own lines only their logs have."""

from __future__ import annotations

from pathlib import Path

from hydra.core.utils import JobReturn


def tell(returned: JobReturn) -> None:
    """Show in a line how a run has ended, if it has."""
    from satae.sweeps import results, table

    assert returned.hydra_cfg is not None
    run = results.attempted(Path(returned.hydra_cfg.hydra.runtime.output_dir))
    if isinstance(run, results.Result) and run.status in (results.FINISHED, results.FAILED):
        print(table.line(run), flush=True)  # noqa: T201
