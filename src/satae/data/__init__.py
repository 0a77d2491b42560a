"""Data sources: one file each, every one giving the same ``Dataset``."""
