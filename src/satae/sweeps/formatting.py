"""Numbers, names and tables as text for people: ``0.321 ± 0.007``, ``act=relu, alpha=0.1``, ``1 h 02 min``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from satae.config.schema import SEED
from satae.sweeps.aggregate import TOO_LARGE, SeedGroup, SeedStatistics, display_value

NOTHING: Final = "–"  # stands where a number is unknown
PLUS_MINUS: Final = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
ALL_RUNS: Final = "all runs"  # the name of the only configuration
MOST_KEY_COLUMNS: Final = 8  # options that have a column in a table
MOST_TABLE_ROWS: Final = 5_000  # in a table on the page; the CSV files hold all
FOLDED_ROWS: Final = 60  # a longer table is folded on the page


def format_number(value: float | None) -> str:
    """A number with four significant digits."""
    return NOTHING if value is None or math.isnan(value) else f"{value:#.4g}" if value else "0"


def half_width(statistics: SeedStatistics) -> float:
    """Half of the 95 % interval of a mean; for two seeds half of their range; nan for one seed.

    Student's t makes the interval of two seeds twelve times as wide as the distance between them.
    """
    return statistics.deviation / math.sqrt(2) if statistics.n == 2 else statistics.margin


def format_statistics(statistics: SeedStatistics) -> str:
    """``0.321 ± 0.007``: the mean and half of its interval, with two digits of the latter.

    For two seeds both values: ``0.32 (0.31, 0.33)``.
    """
    half, mean = half_width(statistics), statistics.mean
    if math.isnan(half):
        return format_number(mean)
    if half <= 1e-14 * abs(mean):  # equal numbers; what is left is rounding
        return f"{format_number(mean)}{PLUS_MINUS}0"
    if not half < 1e6 or abs(mean) >= 1e6:
        return f"{format_number(mean)}{PLUS_MINUS}{TOO_LARGE if math.isinf(half) else format_number(half)}"
    digits = min(6, max(0, 1 - math.floor(math.log10(half))))
    center, low, high = (f"{value:.{digits}f}" for value in (mean, mean - half, mean + half))
    text = f"{center} ({low}, {high})" if statistics.n == 2 else f"{center}{PLUS_MINUS}{half:.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def format_change(statistics: SeedStatistics) -> str:
    """A difference with its sign: ``+0.02 ± 0.01``."""
    return format_statistics(statistics) if statistics.mean < 0 else f"+{format_statistics(statistics)}"


def format_configuration(values: Mapping[str, Any]) -> str:
    """A configuration: ``act=relu, alpha=0.1``."""
    return ", ".join(f"{shorten_value(key)}={shorten_value(value)}" for key, value in values.items()) or ALL_RUNS


def format_duration(seconds: float) -> str:
    """``1 h 02 min``, ``3 min 20 s`` or ``4.2 s``."""
    if not math.isfinite(seconds):
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    return f"{minutes} min {round(seconds) % 60:02} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02} min"


def shorten_value(value: object, most: int = 40) -> str:
    """A value as a user types it, cut after ``most`` characters."""
    text = " ".join(display_value(value).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


class TextTable(NamedTuple):
    """A table of text; the first cell of a row names the row."""

    title: str
    head: list[str]
    rows: list[list[str]]
    numbers: int  # the last columns, which hold numbers
    left_out: int  # rows that the page does not show
    files: str = "runs.csv and groups.csv"  # hold all rows
    caption: str = ""

    @classmethod
    def from_rows(cls, title: str, head: Sequence[str], rows: Iterable[list[str]], numbers: int = 0) -> TextTable:
        """A table with at most ``MOST_TABLE_ROWS`` of the rows."""
        all_rows = [*rows]
        return cls(title, [*head], all_rows[:MOST_TABLE_ROWS], numbers, max(0, len(all_rows) - MOST_TABLE_ROWS))

    @property
    def is_folded(self) -> bool:
        """Whether the page shows the table only on demand."""
        return len(self.rows) > FOLDED_ROWS


def table_keys(axes: Sequence[str]) -> list[str]:
    """The varied options that get a column of their own: all but the seed, ``MOST_KEY_COLUMNS`` at most."""
    return [key for key in axes if key != SEED][:MOST_KEY_COLUMNS]


def table_values(group: SeedGroup, keys: Sequence[str]) -> list[str]:
    """The cells of a configuration in these columns."""
    return [shorten_value(group.values[key]) if key in group.values else NOTHING for key in keys]
