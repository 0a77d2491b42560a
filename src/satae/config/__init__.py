"""What a user can choose: types, ranges, and one line for each choice that cannot be run."""

from satae.config.messages import ConfigError
from satae.config.schema import Config, options
from satae.config.validate import validate

__all__ = ["Config", "ConfigError", "options", "validate"]
