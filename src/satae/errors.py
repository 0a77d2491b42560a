"""The error for a mistake of the user."""

from __future__ import annotations


class ConfigError(ValueError):
    """A choice, file or folder that cannot be used; the message is one line with the value and a remedy."""
