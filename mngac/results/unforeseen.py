"""The record of unforeseen attacks: who was attacked, with which budgets, and what became of each image.

Loads without torch.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mngac.results.intervals import half_width, wilson
from mngac.results.parts import Label, Text
from mngac.results.record_file import read_as
from mngac.results.records import Bits, Outcomes, Strict

SCHEMA: Literal[1] = 1


class UnforeseenAttackRecord(Strict):
    """What one attack did.

    A search has one column, over the images of the record: 1 still correct, 0 broken, `.` not attacked since already
    wrong. Corruptions have one a corruption and severity, over images of their own: 1 correct, 0 wrong. The accuracy is
    the columns' mean. No column: there was nothing to measure for this data set.
    """

    name: Label
    attack: Text
    budget: Text
    columns: dict[Text, Annotated[Outcomes, Field(min_length=1)]]
    severities: dict[Text, float]
    """Accuracy in percent by severity, where the columns have one: mean over corruptions."""
    rejected: int
    """Outputs that were misclassified but not valid; they count as not broken."""
    forwards: int
    """Images passed through the classifier."""

    @model_validator(mode="after")
    def _lengths(self) -> UnforeseenAttackRecord:
        if len({len(column) for column in self.columns.values()}) > 1:
            raise ValueError("columns of different length")
        if self.severities != by_severity(self.columns):
            raise ValueError("severities that are not the columns'")
        return self

    @property
    def n(self) -> int:
        """Images of a column."""
        return len(next(iter(self.columns.values()), ""))

    @property
    def share(self) -> float | None:
        """The accuracy in percent; None without columns."""
        return _mean(list(self.columns.values())) if self.columns else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Low and high of the share, in percent, at 95 %.

        Wilson's for one column; for several normal, over images, of the mean of each image's columns.
        """
        if not self.columns:
            return None
        columns = list(self.columns.values())
        if len(columns) == 1:
            low, high = wilson(columns[0].count("1"), self.n)
            return 100 * low, 100 * high
        of_image = [image.count("1") / len(columns) for image in zip(*columns, strict=True)]
        centre = sum(of_image) / self.n
        variance = sum((share - centre) ** 2 for share in of_image) / max(self.n - 1, 1)
        half = half_width(math.sqrt(variance / self.n))
        return 100 * max(0.0, centre - half), 100 * min(1.0, centre + half)


def _mean(columns: list[str]) -> float:
    """Share of what is still correct in all columns of one length, in percent."""
    return 100 * sum(column.count("1") for column in columns) / sum(map(len, columns))


def by_severity(columns: dict[str, str]) -> dict[str, float]:
    """Accuracy in percent by the number that ends a column's name, such as `fog 3`; empty where none does."""
    numbers = dict.fromkeys(name.split()[-1] for name in columns if name.split()[-1].isdecimal())
    return {
        number: round(_mean([bits for name, bits in columns.items() if name.split()[-1] == number]), 4)
        for number in numbers
    }


class UnforeseenRecord(Strict):
    """The record of one job of the stage `unforeseen`."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    dataset: Label
    split: Label
    method: Label
    seed: int
    unforeseen: Label
    profile: Label
    n: Annotated[int, Field(ge=1)]
    indices: list[int]
    clean: Bits
    attacks: list[UnforeseenAttackRecord]
    flags: list[Text]
    """What makes the numbers doubtful, a line each."""
    timing: dict[str, Any]
    provenance: dict[str, Any]

    @model_validator(mode="after")
    def _lengths(self) -> UnforeseenRecord:
        searches = [(a.name, a.n) for a in self.attacks if a.columns and not a.severities]
        for name, length in [("indices", len(self.indices)), ("clean", len(self.clean)), *searches]:
            if length != self.n:
                raise ValueError(f"{name} has {length} images, n is {self.n}")
        if len({a.name for a in self.attacks}) < len(self.attacks):
            raise ValueError("two attacks have one name")
        return self

    @property
    def name(self) -> str:
        """Who was attacked, with what."""
        return f"{self.dataset}/{self.method}/seed{self.seed}/{self.unforeseen}-{self.profile}"


def read(path: str | Path) -> UnforeseenRecord:
    """Reads a record.

    Raises:
        RecordError: for another schema, a missing or unknown key, columns of different length, or what can't be
            printed.
    """
    return read_as(path, UnforeseenRecord, "a record as mngac unforeseen writes it", "attack it anew")
