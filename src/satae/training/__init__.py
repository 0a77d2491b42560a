"""Training and measuring, without loggers: losses and metrics are yielded and returned."""

import os
from typing import Final

from satae.errors import ConfigError

CHECKPOINTS: Final = "checkpoints"  # folder of a run
OLD_CHECKPOINT: Final = "checkpoint.pt"  # file of a run, in format 1


def available_cores() -> int:
    """The number of cores that this process may use; a container or the system may limit it.

    Raises:
        ConfigError: LOKY_MAX_CPU_COUNT, which limits the number, is not a whole number.
    """
    from joblib import cpu_count

    try:
        return int(cpu_count())
    except ValueError:
        value = os.environ.get("LOKY_MAX_CPU_COUNT")
        raise ConfigError(f"LOKY_MAX_CPU_COUNT={value}: is not a number of cores; set it to one, or unset it") from None
