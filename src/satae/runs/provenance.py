"""What a run is made with: versions, and the state of the sources."""

from __future__ import annotations

import functools
import hashlib
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

PACKAGES: Final = ("satae", "torch", "hydra-core", "omegaconf", "tensorboard", "numpy", "scikit-learn")


@functools.cache  # in a process all runs have the same sources, those that it has read
def versions() -> dict[str, str]:
    """Of Python and of the packages that have a part in the numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def digest() -> str:
    """SHA-256 of the sources of the package: what they make follows from them."""
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


@functools.cache
def program() -> dict[str, str]:
    """What the numbers follow from beside choices and data: the package itself, and torch."""
    return {"satae": digest(), "torch": version("torch")}


@functools.cache
def git_state() -> dict[str, Any] | None:
    """Commit of the checkout that the package runs from, and whether files differ from it; None outside one."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        tracked = subprocess.run([*git, "ls-files", "--error-unmatch", __file__], capture_output=True, check=False)
        if tracked.returncode:
            return None
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
        changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit.strip(), "changed": bool(changes.strip())}
