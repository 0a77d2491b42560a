"""The data sources, one file each, and what they share. Every source returns a ``Dataset``."""
