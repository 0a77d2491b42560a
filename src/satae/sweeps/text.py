"""Results as text: numbers with their deviations, configurations, durations, and tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count, pairwise
from typing import Any, Final, NamedTuple

from satae.config.schema import SEED
from satae.messages import clean_text, format_compact
from satae.sweeps.aggregate import SeedGroup, SeedStatistics

NOTHING: Final = "–"  # stands where a number is unknown
PLUS_MINUS: Final = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
ALL_RUNS: Final = "all runs"  # the name of the only configuration
MAX_KEY_COLUMNS: Final = 8  # options that have a column in a table
MAX_TABLE_ROWS: Final = 5_000  # in a table on the page; the CSV files hold all
FOLDED_ROWS: Final = 60  # a longer table is folded on the page
MAX_DIGITS: Final = 18  # tell any two floats apart
SMALLEST_WITH_PLACES: Final = 1e-5  # a smaller deviation is written with a power of ten
TOO_LARGE: Final = "too large"  # stands for a deviation that exceeds every float


def format_number(value: float | None, digits: int = 4) -> str:
    """A number with significant digits, or with all digits before the point from 10,000 up to a million."""
    if value is None or math.isnan(value):
        return NOTHING
    if value == 0:
        return "0"
    return _with_minus(f"{value:.0f}" if 1e4 <= abs(value) < 1e6 and digits == 4 else f"{value:#.{digits}g}")


def format_statistics(statistics: SeedStatistics) -> str:
    """``0.3209 ± 0.0072``: the mean and half of its interval; for two seeds both values: ``0.32 (0.31, 0.33)``.

    Two different values are written with as many digits as tell them apart.
    """
    mean, half = statistics.mean, statistics.half_width
    if statistics.n != 2 or not 1e-14 * abs(mean) < half < 1e6 or abs(mean) >= 1e6:
        return format_deviation(mean, half)
    numbers = (mean, statistics.low, statistics.high)
    if half < SMALLEST_WITH_PLACES:
        texts = ([format_number(number, digits) for number in numbers] for digits in range(4, MAX_DIGITS))
        center, low, high = next((text for text in texts if text[1] != text[2]), map(repr, numbers))
    else:
        center, low, high = (_with_minus(f"{value:.{decimal_places(half)}f}") for value in numbers)
    return f"{center} ({low}, {high})"


def format_deviation(mean: float, deviation: float) -> str:
    """``0.3209 ± 0.0072``: a number and what it may deviate by, with at least two significant digits of the latter."""
    if math.isnan(deviation):
        return format_number(mean)
    if deviation <= 1e-14 * abs(mean):  # equal numbers; what is left is rounding
        return f"{format_number(mean)}{PLUS_MINUS}0"
    if math.isinf(deviation):
        return f"{format_number(mean)}{PLUS_MINUS}{TOO_LARGE}"
    if not SMALLEST_WITH_PLACES <= deviation < 1e6 or abs(mean) >= 1e6:
        return f"{format_number(mean)}{PLUS_MINUS}{deviation:.2g}"
    places = decimal_places(deviation)
    return f"{_with_minus(f'{mean:.{places}f}')}{PLUS_MINUS}{deviation:.{places}f}"


def _with_minus(number: str) -> str:
    """A number with a minus sign instead of a hyphen before it; the hyphen of a power of ten stays."""
    return number.replace("-", "\N{MINUS SIGN}", 1) if number.startswith("-") else number


def decimal_places(deviation: float) -> int:
    """The decimal places that show two significant digits of a deviation."""
    return max(0, 1 - math.floor(math.log10(deviation)))


def format_change(statistics: SeedStatistics) -> str:
    """A difference with its sign: ``+0.02 ± 0.01``."""
    return format_statistics(statistics) if statistics.mean < 0 else f"+{format_statistics(statistics)}"


def format_configuration(values: Mapping[str, Any]) -> str:
    """A configuration: ``act=relu, alpha=0.1``."""
    return ", ".join(f"{shorten_value(key)}={shorten_value(value)}" for key, value in values.items()) or ALL_RUNS


def configuration_label(group: SeedGroup) -> str:
    """The values of a configuration; without any, the name of its only run, or ``all runs``."""
    if group.values or len(group.runs) > 1:
        return format_configuration(group.values)
    return shorten_value(clean_text(group.runs[0].name))


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
    text = " ".join(format_compact(value).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def distinct_labels(texts: Iterable[str], most: int = 40) -> dict[str, str]:
    """A label of at most ``most`` characters for each text; different texts have different labels.

    A long text keeps its start and the place where it begins to differ from all others.
    """
    in_one_line = {text: " ".join(text.split()) for text in texts}
    ordered = sorted({*in_one_line.values()})
    differs = dict.fromkeys(ordered, 0)  # the first place at which a text is unlike all others
    for text, following in pairwise(ordered):
        letters = enumerate(zip(text, following, strict=False))
        alike = next((place for place, (a, b) in letters if a != b), min(len(text), len(following)))
        differs[text], differs[following] = max(differs[text], alike), max(differs[following], alike)
    labels = {text: _cut_around(line, differs[line], most) for text, line in in_one_line.items()}
    taken = Counter(labels.values())
    for text, label in labels.items():
        if taken[label] > 1:
            endings = (f" ({number})" for number in count(1))
            labels[text] = next(new for end in endings if (new := f"{label[: most - len(end)]}{end}") not in taken)
            taken[labels[text]] = 1
    return labels


def _cut_around(text: str, place: int, most: int) -> str:
    """A text cut to ``most`` characters: its start, and what stands around a place."""
    if len(text) <= most or place < most - 1:
        return shorten_value(text, most)
    start = most // 4
    room = most - start - 2
    begin = min(place - room // 2, len(text) - room)
    end = begin + room
    return f"{text[:start]}…{text[begin:end]}{'…' if end < len(text) else ''}"


def with_short_values(groups: Sequence[SeedGroup]) -> list[SeedGroup]:
    """Configurations with short labels instead of long words; different words keep different labels."""
    words: dict[str, dict[str, None]] = {}
    for group in groups:
        for key, value in group.values.items():
            if isinstance(value, str):
                words.setdefault(key, {})[value] = None
    labels = {key: distinct_labels(some) for key, some in words.items()}

    def short(key: str, value: Any) -> Any:
        return labels[key][value] if isinstance(value, str) else value

    return [replace(group, values={key: short(key, value) for key, value in group.values.items()}) for group in groups]


class TextTable(NamedTuple):
    """A table of text; the first cell of a row names the row."""

    title: str
    head: list[str]
    rows: list[list[str]]
    numbers: int  # the last columns, which hold numbers
    left_out: int  # rows that the page does not show
    files: str = "runs.csv and groups.csv"  # hold all rows
    caption: str = ""
    words: str = ""  # title of a column of words among the numbers

    @classmethod
    def from_rows(cls, title: str, head: Sequence[str], rows: Iterable[list[str]], numbers: int = 0) -> TextTable:
        """A table with at most ``MAX_TABLE_ROWS`` of the rows."""
        all_rows = [*rows]
        return cls(title, [*head], all_rows[:MAX_TABLE_ROWS], numbers, max(0, len(all_rows) - MAX_TABLE_ROWS))

    @property
    def is_folded(self) -> bool:
        """Whether the page shows the table only on demand."""
        return len(self.rows) > FOLDED_ROWS


def table_keys(axes: Sequence[str]) -> list[str]:
    """The varied options that get a column of their own: all but the seed, ``MAX_KEY_COLUMNS`` at most."""
    return [key for key in axes if key != SEED][:MAX_KEY_COLUMNS]


def table_values(group: SeedGroup, keys: Sequence[str]) -> list[str]:
    """The cells of a configuration in these columns; its label if no column is asked for."""
    values = [shorten_value(group.values[key]) if key in group.values else NOTHING for key in keys]
    return values or [configuration_label(group)]
