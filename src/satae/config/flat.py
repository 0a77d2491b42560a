"""Earlier names; to be removed."""

from satae.config.schema import EXECUTION_OPTIONS as APART
from satae.config.schema import SEED, is_among
from satae.config.schema import flatten as flat

__all__ = ["APART", "SEED", "flat", "is_among"]
