"""The files inside scikit-learn."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def scikit_learn(*parts: str) -> Path:
    """A file inside scikit-learn, which is not imported for it: that takes more than a second."""
    spec = find_spec("sklearn")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0], *parts)
