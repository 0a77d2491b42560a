"""Colours of figures, which everyone tells apart."""

from __future__ import annotations

from typing import Final

INK: Final = "#202327"
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)  # of Okabe and Ito
