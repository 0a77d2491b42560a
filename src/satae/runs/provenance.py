"""What a run was computed with: versions of packages, and the state of the source code."""

from __future__ import annotations

import functools
import hashlib
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

PACKAGES: Final = ("satae", "torch", "hydra-core", "omegaconf", "tensorboard", "numpy", "scikit-learn")


@functools.cache  # all runs of a process use the sources that it has imported
def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change the numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


@functools.cache
def program_version() -> dict[str, str]:
    """What decides the numbers besides configuration and data: the source of this package, and the version of torch."""
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return {"satae": digest[:16], "torch": version("torch")}


@functools.cache
def git_state() -> dict[str, Any] | None:
    """The git commit of the package, and whether files differ from it; None outside a checkout."""
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
