"""The interface of a part of an evaluation: what it measures, and how the report shows it.

A part is one class in ``parts/`` and one file in ``conf/evaluation/``. Its fields are the options. Importing its module
does not import torch, so that the report can use it: functions that measure import what they need.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from satae.evaluation.reported_evaluations import PartSummary, ReportSection
    from satae.evaluation.result import PartResult, StoredResult
    from satae.evaluation.subject import Subject, TrainedRun
    from satae.plots.charts import Chart
    from satae.sweeps.series import Comparison
    from satae.sweeps.text import TextTable

# goes through the steps of a part and shows the progress; a signal ends the program between two steps
Track = Callable[[Sequence[Any]], Iterator[Any]]

OWN: Final = "own"  # the model of the run, in files and on the page
BASELINE: Final = "twin"  # the same model trained with alpha=0, in files and on the page
ALONE: Final = "alone"  # a classifier without an autoencoder
PIPELINE_TITLES: Final = {
    OWN: "behind the autoencoder",
    BASELINE: "behind the twin, alpha=0",
    ALONE: "the classifier alone",
}
RADIUS_TITLE: Final = "radius epsilon, as a share of the range"
NORM_TITLES: Final = {"linf": "L∞", "l2": "L2"}


class EvaluationPart(ABC):
    """A part of an evaluation and its options.

    Attributes:
        description: what the part measures, for the report.
        pictures: what each picture of a run shows, by its file name without the suffix.
        figures: names of the figures that the report draws over all runs.
        repeated_picture: the picture of a run whose content the figures repeat for all runs.
        compared: pairs of values that the summary compares, each of the model and of its baseline, by what they are.
        remark_after, remark_title: where in the report's table the column of remarks stands, and its title.
    """

    description: ClassVar[str]
    pictures: ClassVar[Mapping[str, str]] = {}
    figures: ClassVar[Sequence[str]] = ()
    repeated_picture: ClassVar[str] = ""
    compared: ClassVar[Mapping[str, tuple[str, str]]] = {}
    remark_after: ClassVar[str] = ""
    remark_title: ClassVar[str] = ""

    def check(self, run: TrainedRun) -> None:  # noqa: B027
        """Refuse options that do not fit a run; called before anything is measured.

        Raises:
            ValueError: they do not fit; the text begins with the name of the option.
            ConfigError: they do not fit; the text is a whole line for the user.
        """

    def find_missing(self, subject: Subject) -> dict[str, str]:
        """What cannot be measured on these inputs, and why; the key ``""`` stands for the whole part."""
        return {}

    @abstractmethod
    def measure(self, subject: Subject, track: Track) -> PartResult:
        """Measure the part."""

    @classmethod
    @abstractmethod
    def summarize(cls, stored: StoredResult) -> PartSummary:
        """What the report says of a stored result.

        Raises:
            KeyError: a table or a column is missing.
            ValueError: a value has the wrong type.
        """

    @classmethod
    def align(cls, summaries: Mapping[Path, PartSummary]) -> dict[Path, PartSummary]:
        """The summaries of all runs, made comparable with each other."""
        return dict(summaries)

    @classmethod
    def charts(cls, section: ReportSection, comparison: Comparison) -> Iterator[Chart]:
        """The report's charts over all runs; at least one run must be finished."""
        yield from ()

    @classmethod
    def tables(cls, section: ReportSection, axes: Sequence[str]) -> Iterator[TextTable]:
        """The report's tables beside those that every part has.

        Args:
            section: section of the report.
            axes: options in which the configurations differ.
        """
        yield from ()

    @classmethod
    def remark(cls, summaries: Sequence[PartSummary]) -> str:
        """A remark on the seeds of one configuration, for the column ``remark_title``."""
        return ""

    @classmethod
    def warnings(cls, section: ReportSection) -> Iterator[str]:
        """What a reader must know before relying on the section."""
        yield from ()
