"""Launchers: how the runs of a sweep are executed."""
