"""Text that may come from a file, as it is shown: a file from a stranger must not write to a terminal what it likes."""

from __future__ import annotations

from typing import Final

MOST: Final = 200  # characters of what comes from a file
LONGEST_TEXT: Final = 20_000  # characters
UNSHOWN: Final = "\N{REPLACEMENT CHARACTER}"  # in the place of control characters


def one_line(text: object) -> str:
    """In one line, without control characters."""
    line = " ".join(str(text).splitlines())
    return line if line.isprintable() else "".join(sign if sign.isprintable() else UNSHOWN for sign in line)


def brief(text: object) -> str:
    """The same, and no longer than ``MOST`` characters."""
    line = one_line(text)
    return line if len(line) <= MOST else f"{line[: MOST - 3]}..."


def first_line(error: BaseException) -> str:
    """The first line of an error's text, without a full stop."""
    return str(error).strip().partition("\n")[0].rstrip(" .")


def brief_line(error: BaseException) -> str:
    """The same, of an error that may tell what is in a file: brief."""
    return brief(first_line(error))


def clean_text(text: object) -> str:
    """Text with line breaks but without control characters, cut after ``LONGEST_TEXT`` characters."""
    shown = str(text)[: LONGEST_TEXT + 1]
    if not shown.isprintable():
        shown = "".join(letter if letter.isprintable() or letter == "\n" else UNSHOWN for letter in shown)
    return f"{shown[:LONGEST_TEXT]} ..." if len(shown) > LONGEST_TEXT else shown
