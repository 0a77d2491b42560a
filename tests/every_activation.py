"""A maker of every registered activation, by name; options take their values in ``conf/``."""

from functools import partial

from satae.config import registries

ACTIVATIONS = {name: partial(registries.ACTIVATIONS.build, name) for name in registries.ACTIVATIONS.names()}
