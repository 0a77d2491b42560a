"""The 1,797 real handwritten digits of 8x8 pixels inside scikit-learn, which need no network."""

from __future__ import annotations

import numpy as np
import torch

from satae.config.option_types import Count, OpenShare, Seed
from satae.config.registry import DATA_SOURCES
from satae.data.dataset import Dataset, Split, shuffled_splits
from satae.data.local_files import scikit_learn_file


@DATA_SOURCES.register("digits")
def digits(
    *, valid: OpenShare = 0.15, test: OpenShare = 0.15, split_seed: Seed = 0, limit: Count | None = None
) -> Dataset:
    """Images (1, 8, 8) in [0, 1], with labels 0 to 9.

    Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, https://doi.org/10.24432/C50P49; its test part, in :func:`sklearn.datasets.load_digits`.

    Raises:
        ValueError: a split would be empty.
    """
    table = np.loadtxt(scikit_learn_file("datasets", "data", "digits.csv.gz"), np.uint8, delimiter=",")
    x = torch.from_numpy(table[:, :64]).view(-1, 1, 8, 8)  # 17 grey levels, 0 to 16
    y = torch.from_numpy(table[:, 64]).long()
    splits = shuffled_splits(Split(x, y), valid=valid, test=test, seed=split_seed, limit=limit)
    return Dataset("digits", *splits, span=(0.0, 1.0), scale=1 / 16)
