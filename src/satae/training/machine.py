"""The cores and the memory of this machine."""

import os

from satae.errors import ConfigError


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


def memory() -> int:
    """The memory of this machine in bytes: no larger checkpoint can be read."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
