"""What each of several runs at once gets of the machine."""

from __future__ import annotations

from typing import NamedTuple


class Share(NamedTuple):
    """Its number of runs, and of threads."""

    jobs: int  # runs at once
    threads: int  # of torch in each, at most
