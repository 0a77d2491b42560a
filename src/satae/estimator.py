"""A saturated denoising autoencoder as an estimator of scikit-learn."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np

from satae.errors import RunFailedError

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils.validation import check_is_fitted
except ImportError:
    raise ImportError("satae.SaturatedAutoencoder needs scikit-learn; pip install scikit-learn") from None

LEAST_EXAMPLES: Final = 4  # of which training, validation and test have at least one each


class SaturatedAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A saturated denoising autoencoder that turns examples into codes.

    ``fit`` makes the run that :func:`satae.train` makes with the same words, so that the weights are the same. As
    there, ``data.valid`` and ``data.test``, 0.15 each, are shares of the examples that are not trained on;
    ``options={"data.valid": 0.1, "data.test": 0.01}`` gives others.

    Args:
        alpha, act, arch, noise, optim, epochs, batch_size, seed, device, threads: the words of ``satae-train``.
        options: what has a dot in its name there, such as ``{"arch.widths": [64, 8]}``, and all other words.
        directory: of the run; None keeps no files.
        quiet: print nothing.

    Attributes:
        model_: the trained model, as :func:`satae.load` gives it.
        metrics_: of the last epoch.
        history_: the metrics of each epoch.
        notes_: what was assumed about the examples.
        n_features_in_: columns of the examples.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.1,
        act: str = "relu",
        arch: str = "mlp",
        noise: str = "gaussian",
        optim: str = "adam",
        epochs: int = 100,
        batch_size: int = 128,
        seed: int = 0,
        device: str = "auto",
        threads: int | None = None,
        options: Mapping[str, Any] | None = None,
        directory: str | PathLike[str] | None = None,
        quiet: bool = True,
    ) -> None:
        self.alpha, self.act, self.arch, self.noise, self.optim = alpha, act, arch, noise, optim
        self.epochs, self.batch_size, self.seed = epochs, batch_size, seed
        self.device, self.threads = device, threads
        self.options, self.directory, self.quiet = options, directory, quiet

    def fit(self, X: Any, y: Any = None) -> SaturatedAutoencoder:
        """Train on examples (N, D), (N, H, W), (N, H, W, C) or (N, C, H, W).

        Args:
            X: floating-point, or uint8 for brightness from 0 to 255; other numbers become float64.
            y: ignored.

        Raises:
            ConfigError: a word cannot be used; it is a ValueError.
            RunFailedError: training has failed.
        """
        from satae.library import train

        x = self._checked(X, first=True)
        words = {key: value for key, value in self.get_params().items() if key not in ("options", "directory", "quiet")}
        with ExitStack() as stack:
            folder = self.directory
            if folder is None:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="satae-")), "run")
            try:
                run = train(data=x, options=self.options, directory=folder, quiet=self.quiet, **words)
            except RunFailedError as error:
                if self.directory is not None:
                    raise
                raise RunFailedError(error.fault.removeprefix(f"{folder}: "), "", error.exit_code) from error
        model: Any = run.model
        self.model_, self.metrics_, self.history_, self.notes_ = model, run.metrics, run.history, run.notes
        self._n_features_out = model.encode(x[:1]).shape[1]
        self._mean = model.units.to_tensor(x).mean(dim=0)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The codes (N, K) of examples, float32."""
        check_is_fitted(self)
        codes: np.ndarray = self.model_.encode(self._checked(X))
        return codes

    def inverse_transform(self, X: Any) -> np.ndarray:
        """The reconstructions of codes (N, K), in the units of the examples."""
        from sklearn.utils import check_array

        check_is_fitted(self)
        code = check_array(X, dtype=np.float32)
        if code.shape[1] != self._n_features_out:
            raise ValueError(f"X has {code.shape[1]} columns; codes of this model have {self._n_features_out}")
        examples: np.ndarray = self.model_.decode(code)
        return examples

    def score(self, X: Any, y: Any = None) -> float:
        """The share of the variance of clean examples that their reconstructions explain, at most 1.

        It is 1 - fvu: errors are in units of the standard deviations in training, and the variance is around the mean
        of the examples of ``fit``.
        """
        import torch

        from satae.model.autoencoder import ARRAY_BATCH

        check_is_fitted(self)
        model: Any = self.model_
        inputs = model.units.to_tensor(self._checked(X))
        with torch.no_grad():
            errors = torch.cat([part - model(part) for part in inputs.split(ARRAY_BATCH)])
        total = ((inputs - self._mean) / model.std).double().square().mean()
        return float(1 - (errors / model.std).double().square().mean() / total)

    def _checked(self, examples: Any, *, first: bool = False) -> np.ndarray:
        """The examples as an array, compared with those of the training unless they are the ``first``."""
        rules = {"dtype": [np.float64, np.float32, np.uint8], "allow_nd": True}
        rules["ensure_min_samples"] = LEAST_EXAMPLES if first else 1
        try:
            from sklearn.utils.validation import validate_data
        except ImportError:  # before scikit-learn 1.6
            return np.asarray(self._validate_data(examples, reset=first, **rules))
        return np.asarray(validate_data(self, examples, reset=first, **rules))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _more_tags(self) -> dict[str, Any]:  # before scikit-learn 1.6
        return {"preserves_dtype": [np.float32]}
