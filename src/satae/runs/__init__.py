"""Runs, one by one: built from a configuration, trained, measured, written down, gone on with, read back."""
