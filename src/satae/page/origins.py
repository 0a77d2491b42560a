"""Where runs come from: versions, sources, machine, times."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from satae.config.messages import count_words
from satae.config.schema import EXECUTION_OPTIONS, is_among
from satae.page.sources import Source
from satae.printable import clean_text
from satae.sweeps.aggregate import display_value
from satae.sweeps.formatting import format_duration

MOST_VALUES: Final = 4  # of a fact in which runs differ


def origins(source: Source) -> Mapping[str, str]:
    """Each fact, by its name."""
    records = [run.record for run in source.runs]
    walls = [float(wall) for record in records if math.isfinite(wall := record.get("wall_s", math.nan))]
    times = [str(record[key]) for record in records for key in ("started", "ended") if record.get(key)]
    told = {
        "runs are in": clean_text(source.root),
        "chosen" if len(records) == 1 else "chosen in all": _common([run.choices for run in source.runs]),
        "versions": _distinct(records, "versions"),
        "sources": _distinct(records, "sources", "commit {}".format),
        "device": _distinct(records, "device"),
        "threads of a run": _distinct(records, "threads"),
        "runs at once": _distinct(records, "jobs"),
        "started in": _distinct(records, "folder"),
        "first begun, last ended": f"{min(times)}, {max(times)}" if times else "",
        "wall time": f"{format_duration(sum(walls))} of all runs together, {_mean(walls)} a run" if walls else "",
    }
    return {name: value for name, value in told.items() if value}


def _common(choices: Sequence[Mapping[str, Any]]) -> str:
    """What all runs chose alike, but for how they were computed; the seed of a single one, too."""
    if not choices:
        return ""
    first, *others = choices
    alike = [key for key in first if all(key in one and one[key] == first[key] for one in others)]
    return ", ".join(f"{key}={display_value(first[key])}" for key in alike if not is_among(key, EXECUTION_OPTIONS))


def _mean(walls: Sequence[float]) -> str:
    return format_duration(sum(walls) / len(walls))


def _distinct(records: Sequence[Mapping[str, Any]], key: str, told: Callable[[Any], str] = str) -> str:
    """The different values of a fact, and how many runs have each where that is more than one."""
    values = [told(record[key]) for record in records if record.get(key) is not None]
    kinds = [*dict.fromkeys(values)]
    if len(kinds) <= 1:
        return "".join(kinds)
    more = f"; {len(kinds) - MOST_VALUES} further ones" if len(kinds) > MOST_VALUES else ""
    return "; ".join(f"{kind} ({count_words(values.count(kind), 'run')})" for kind in kinds[:MOST_VALUES]) + more
