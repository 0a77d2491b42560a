"""A maker of every registered activation, by name; options take their values in ``conf/``."""

from functools import partial

from satae.config.registry import ACTIVATIONS as REGISTERED

ACTIVATIONS = {name: partial(REGISTERED.build, name) for name in REGISTERED.names()}
