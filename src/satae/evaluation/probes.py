"""Classifiers that tell how much of the labels is in a representation."""

from __future__ import annotations

import warnings
from typing import Any, Final, NamedTuple

from torch import Tensor

from satae.evaluation.intervals import Estimate, wilson

PASSES: Final = 1000  # of the optimiser, at most


class Labelled(NamedTuple):
    """Examples with their labels."""

    x: Tensor  # (N, features...)
    y: Tensor  # (N,)


def linear(train: Labelled, test: Labelled) -> tuple[Estimate, bool]:
    """The accuracy of multinomial logistic regression on standardised features, and whether it had converged."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        found = _accuracy(LogisticRegression(max_iter=PASSES), train, test)
    return found, not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)


def nearest(train: Labelled, test: Labelled, neighbours: int) -> Estimate:
    """The accuracy of a vote of the nearest neighbours, by Euclidean distance of standardised features."""
    from sklearn.neighbors import KNeighborsClassifier

    return _accuracy(KNeighborsClassifier(neighbours), train, test)


def _accuracy(classifier: Any, train: Labelled, test: Labelled) -> Estimate:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    (x, y), (x_test, y_test) = ([part.flatten(1).cpu().numpy(), part_y.cpu().numpy()] for part, part_y in (train, test))
    model = make_pipeline(StandardScaler(), classifier).fit(x, y)
    return wilson(int((model.predict(x_test) == y_test).sum()), len(y_test))
