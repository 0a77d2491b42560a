"""Saturated denoising autoencoders: the regularizer, the models, and the runs that ``satae-train`` made.

>>> import torch, satae
>>> classifier = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
>>> with satae.saturating(classifier) as saturation:
...     logits = classifier(torch.zeros(5, 64))
...     penalty = saturation.total()
>>> list(saturation.by_layer())
['1']
"""

TYPE_CHECKING = False  # not from typing, whose import a Ctrl-C would end with a traceback
if TYPE_CHECKING:
    from satae.errors import ConfigError as ConfigError
    from satae.errors import RunFailedError as RunFailedError
    from satae.estimator import SaturatedAutoencoder as SaturatedAutoencoder
    from satae.library import Run as Run
    from satae.library import train as train
    from satae.model.activations import register as register
    from satae.model.activations import tails as tails
    from satae.model.architectures import conv as conv
    from satae.model.architectures import mlp as mlp
    from satae.model.autoencoder import DenoisingAutoencoder as DenoisingAutoencoder
    from satae.model.complement import Complement as Complement
    from satae.model.complement import complement as complement
    from satae.model.complement import is_flat as is_flat
    from satae.model.noise import corruption as corruption
    from satae.model.objective import Objective as Objective
    from satae.model.saturation import Saturation as Saturation
    from satae.model.saturation import saturating as saturating
    from satae.robustness.classifier_robustness import Robustness as Robustness
    from satae.robustness.classifier_robustness import evaluate_robustness as evaluate_robustness
    from satae.runs.loading import load as load

__version__ = "0.1.0"

_HOMES = {  # imported on first use, so that the command line need not wait for torch
    "register": "satae.model.activations",
    "conv": "satae.model.architectures",
    "mlp": "satae.model.architectures",
    "DenoisingAutoencoder": "satae.model.autoencoder",
    "Complement": "satae.model.complement",
    "complement": "satae.model.complement",
    "is_flat": "satae.model.complement",
    "tails": "satae.model.activations",
    "corruption": "satae.model.noise",
    "Objective": "satae.model.objective",
    "Saturation": "satae.model.saturation",
    "saturating": "satae.model.saturation",
    "Robustness": "satae.robustness.classifier_robustness",
    "evaluate_robustness": "satae.robustness.classifier_robustness",
    "load": "satae.runs.loading",
    "train": "satae.train",  # the module itself, which can be called
    "Run": "satae.library",
    "SaturatedAutoencoder": "satae.estimator",
    "ConfigError": "satae.errors",
    "RunFailedError": "satae.errors",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'satae' has no attribute '{name}'; it has {', '.join(__all__)}")
    home = import_module(_HOMES[name])
    return home if name == "train" else getattr(home, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
