"""Makes text from files safe to print: a stranger's file must not send control characters to a terminal."""

from __future__ import annotations

from typing import Final

MAX_BRIEF: Final = 200  # characters
MAX_TEXT: Final = 20_000  # characters
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"  # stands for a control character


def one_line(text: object) -> str:
    """Text in one line, without control characters."""
    line = " ".join(str(text).splitlines())
    return line if line.isprintable() else "".join(sign if sign.isprintable() else REPLACEMENT for sign in line)


def brief(text: object) -> str:
    """Text in one line, without control characters, cut after ``MAX_BRIEF`` characters."""
    line = one_line(text)
    return line if len(line) <= MAX_BRIEF else f"{line[: MAX_BRIEF - 3]}..."


def first_line(error: BaseException) -> str:
    """The first line of an error's text, without a full stop."""
    return str(error).strip().partition("\n")[0].rstrip(" .")


def brief_line(error: BaseException) -> str:
    """The first line of an error's text, made brief: it may quote what is in a file."""
    return brief(first_line(error))


def clean_text(text: object) -> str:
    """Text with line breaks but without control characters, cut after ``MAX_TEXT`` characters."""
    shown = str(text)[: MAX_TEXT + 1]
    if not shown.isprintable():
        shown = "".join(letter if letter.isprintable() or letter == "\n" else REPLACEMENT for letter in shown)
    return f"{shown[:MAX_TEXT]} ..." if len(shown) > MAX_TEXT else shown
