"""Training and measuring, without loggers: losses and metrics are yielded and returned."""

from typing import Final

CHECKPOINTS_FOLDER: Final = "checkpoints"  # of a run
OLD_CHECKPOINT: Final = "checkpoint.pt"  # file of a run, in format 1
AVERAGE: Final = "ema"  # the part of a checkpoint with the averaged weights, and the tag of their metrics
