"""The error that stands for a user's mistake."""

from __future__ import annotations


class ConfigError(ValueError):
    """A choice, file or folder that cannot be used, told in one line with the value, the choices and the remedy."""
