"""Errors of others, told in one line."""

from __future__ import annotations


def reason(error: BaseException) -> str:
    """An error of the operating system or of a library, in short."""
    return getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__
