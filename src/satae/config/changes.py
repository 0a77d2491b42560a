"""What can be changed in a run that has begun."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Final

from satae.config.flat import APART, flat, is_among
from satae.config.messages import ConfigError, show
from satae.config.schema import Config

CHANGEABLE: Final = ("epochs", *APART)


def check_changes(begun: Config, wanted: Config, leave_out: Collection[str] = ()) -> None:
    """Refuse what cannot be changed in a run that has begun.

    Args:
        begun: the configuration of the run.
        wanted: that it is to go on with.
        leave_out: options that are not compared.

    Raises:
        ConfigError: something else is changed, by name.
    """
    before, after = (flat(asdict(config)) for config in (begun, wanted))
    for key in {**after, **before}:
        was, is_now = before.get(key), after.get(key)
        may = key in leave_out or is_among(key, CHANGEABLE)
        if was != is_now and not may:
            raise ConfigError(
                f"{key}={show(is_now)}: cannot be changed in a run that has begun with"
                f" {show(was)}; these can: {', '.join(CHANGEABLE)}; or begin anew with rerun=..."
            )
