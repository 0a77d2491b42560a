"""What a user can choose: types, ranges, and one line for each choice that cannot be run."""

from satae.config.schema import Config, Evaluation, validate
from satae.errors import ConfigError

__all__ = ["Config", "ConfigError", "Evaluation", "validate"]
