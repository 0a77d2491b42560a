"""Text that may come from a file, as it is shown: a file from a stranger must not write to a terminal what it likes."""

from __future__ import annotations

from typing import Final

MOST: Final = 200  # characters of what comes from a file
UNSHOWN: Final = "\N{REPLACEMENT CHARACTER}"  # in the place of control characters


def one_line(text: object) -> str:
    """In one line, without control characters."""
    line = " ".join(str(text).splitlines())
    return line if line.isprintable() else "".join(sign if sign.isprintable() else UNSHOWN for sign in line)


def brief(text: object) -> str:
    """The same, and no longer than ``MOST`` characters."""
    line = one_line(text)
    return line if len(line) <= MOST else f"{line[: MOST - 3]}..."
