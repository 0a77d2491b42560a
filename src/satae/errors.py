"""The error for a mistake of the user, and the exit code that stands for an error."""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAULT: Final = 1  # a fault of the program or of the machine
REFUSED: Final = 2  # a choice that cannot be run
DIVERGED: Final = 3  # the loss was not finite
# 128 + n: ended by signal n, such as 130 for Ctrl-C


class ConfigError(ValueError):
    """A choice, file or folder that cannot be used; the message is one line with the value and a remedy."""


class RunFailedError(RuntimeError):
    """A run that has failed; the message is the line that ``satae-train`` prints."""

    def __init__(self, fault: str, remedy: str, exit_code: int) -> None:
        """Say what went wrong, with what the user can do about it, as the end of the line."""
        super().__init__(fault + remedy)
        self.fault, self.exit_code = fault, exit_code


def exit_code(error: BaseException) -> int:
    """The exit code of a run that an error ends: the error's own ``exit_code`` if it has one."""
    code: int = getattr(error, "exit_code", 130 if isinstance(error, KeyboardInterrupt) else FAULT)
    return code
