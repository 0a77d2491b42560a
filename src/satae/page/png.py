"""PNG files, which may be none."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from satae.runs.untrusted_files import read_untrusted

LARGEST: Final = 2**20  # bytes
LARGEST_SIDE: Final = 4096  # pixels
BEGIN: Final = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
END: Final = b"\0\0\0\0IEND\xaeB`\x82"


def read(path: Path) -> bytes:
    """The content of a picture.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is none that satae-train writes, or too large.
        OSError: it cannot be read.
    """
    content = read_untrusted(path, LARGEST)
    if not content.startswith(BEGIN) or not content.endswith(END):
        raise ValueError("it is no PNG file")
    if not all(0 < side <= LARGEST_SIDE for side in size(content)):
        raise ValueError("it is too large")
    return content


def size(png: bytes) -> tuple[int, int]:
    """Width and height, pixels."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
