"""Fitting and measuring: no logger, no configuration; losses and numbers are yielded and returned."""
