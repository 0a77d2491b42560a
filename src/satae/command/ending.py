"""How a program ends: its exit codes, and the line that tells why."""

from __future__ import annotations

import sys
from typing import Final

OK: Final = 0
FAILED: Final = 1  # a fault of the program or of the machine
REFUSED: Final = 2  # a choice that cannot be run
DIVERGED: Final = 3  # the loss was not finite
# 128 + n: ended by signal n, such as 130 for Ctrl-C


def say(program: str, line: str, code: int) -> int:
    """Tell what went wrong, in one line; returns the exit code."""
    print(f"{program}: {' '.join(line.splitlines())}", file=sys.stderr)  # noqa: T201
    return code
