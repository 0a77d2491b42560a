"""The constructor of every registered activation, by name."""

from satae.config import registries

ACTIVATIONS = {entry.name: entry.build for entry in registries.ACTIVATIONS.entries()}
