"""One record: who was evaluated, with what, and what happened to each image. Loads without torch."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mngac.params.errors import listed, shown
from mngac.params.types import NORMS, Norm
from mngac.results.json_file import RecordError as RecordError
from mngac.results.parts import Label, Text
from mngac.results.record_file import read_as

if TYPE_CHECKING:
    import pandas as pd

SCHEMA: Literal[1] = 1
FRACTION = "[0-9]{1,18}/[1-9][0-9]{0,17}"
DECIMAL = r"[0-9]{1,18}(\.[0-9]{1,30})?(e[+-]?[0-9]{1,2})?"
"""A radius as text, in either form; longer ones would take long to turn into a number."""
Outcomes = Annotated[str, Field(pattern=r"^[01.]*$")]
Bits = Annotated[str, Field(pattern=r"^[01]*$")]


def worst_case(*columns: str) -> list[bool]:
    """Per image: correct in every column; `.` is not correct, since something broke the image before.

    Raises:
        ValueError: for columns of different length.
    """
    return [all(c == "1" for c in image) for image in zip(*columns, strict=True)]


class Strict(BaseModel):
    """Refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True)

    def to_json(self) -> str:
        """The file's text: keys in a fixed order, so that equal results are equal bytes but for `timing`."""
        return json.dumps(self.model_dump(by_alias=True), indent=1, ensure_ascii=False) + "\n"


class AttackRecord(Strict):
    """What one attack did: `correct` holds 1 still correct, 0 broken, `.` not attacked since already broken."""

    name: Label
    norm: Norm
    radius: Annotated[str, Field(pattern=f"^({FRACTION}|{DECIMAL})$")]
    correct: Outcomes
    rejected: int
    """Outputs that were misclassified but not valid; they count as not broken."""
    forwards: int
    """Images passed through the classifier."""


class PerImage:
    """What follows from the columns of one evaluation: worst cases and union, image for image."""

    if TYPE_CHECKING:
        clean: str
        attacks: list[AttackRecord]

    @property
    def clean_correct(self) -> list[bool]:
        """Per image: correct without any attack."""
        return [c == "1" for c in self.clean]

    def norms(self) -> list[str]:
        """The norms attacked, in the order of the attacks."""
        return list(dict.fromkeys(a.norm for a in self.attacks))

    def robust(self, norm: str) -> list[bool]:
        """Per image: correct on the clean image and under every attack of the norm (worst case).

        Raises:
            RecordError: for a norm that no attack is in.
        """
        if norm not in self.norms():
            raise RecordError(f"norm: found {shown(norm)}; allowed: one attacked: {listed(self.norms(), norm)}")
        return worst_case(self.clean, *(a.correct for a in self.attacks if a.norm == norm))

    def union(self) -> list[bool]:
        """Per image: correct on the clean image and under every attack of every norm."""
        return worst_case(self.clean, *(a.correct for a in self.attacks))

    def columns(self) -> list[str]:
        """What can be said, in the tables' order: clean, each norm attacked, and the union where all norms were."""
        attacked = [norm for norm in NORMS if norm in self.norms()]
        return ["clean", *attacked, *(["union"] if len(attacked) == len(NORMS) else [])]

    def column(self, name: str) -> list[bool]:
        """Per image, one of `columns()`: clean, a norm attacked, or union where all norms were.

        Raises:
            RecordError: for another name.
        """
        if name not in self.columns():
            raise RecordError(f"column: found {shown(name)}; allowed: one of {listed(self.columns(), name)}")
        if name == "clean":
            return self.clean_correct
        return self.union() if name == "union" else self.robust(name)

    def share(self, name: str) -> float:
        """Of a column, the images that are correct, in percent.

        Raises:
            RecordError: for a name that is none of `columns()`.
        """
        column = self.column(name)
        return 100 * sum(column) / len(column)

    def table(self) -> str:
        """Markdown: each column's share of correct images in percent, with its 95 % interval over images (Wilson)."""
        return _views().table(self)

    def to_pandas(self) -> pd.DataFrame:
        """A row an image; `clean`, each attack, each norm and the union as columns, true where it is correct.

        Raises:
            ModuleNotFoundError: where pandas is not installed.
        """
        return _views().frame(self)


def _views() -> Any:
    # By its name: how an evaluation is shown is in no evaluation's key.
    return importlib.import_module("mngac.results.views")


class Record(PerImage, Strict):
    """The record of one evaluation (contract)."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    dataset: Label
    split: Label
    method: Label
    seed: int
    suite: Label
    profile: Label
    n: Annotated[int, Field(ge=1)]
    indices: list[int]
    clean: Bits
    attacks: list[AttackRecord]
    flags: list[Text]
    timing: dict[str, Any]
    provenance: dict[str, Any]

    @model_validator(mode="after")
    def _lengths(self) -> Record:
        attacks: list[tuple[str, Sequence[object]]] = [(f"{a.name} {a.norm}", a.correct) for a in self.attacks]
        for name, column in [("indices", self.indices), ("clean", self.clean), *attacks]:
            if len(column) != self.n:
                raise ValueError(f"{name} has {len(column)} images, n is {self.n}")
        if len({name for name, _ in attacks}) < len(attacks):
            raise ValueError("two attacks on a norm have one name")
        return self

    @property
    def suite_config(self) -> dict[str, Any]:
        """The suite's entry, where the provenance holds it; else empty."""
        return self.provenance.get("params", {}).get("suite", {})

    @property
    def configs(self) -> list[dict[str, Any]]:
        """Each attack's entry of the suite, where the provenance holds it; else empty."""
        entries = self.suite_config.get("attacks", [])
        return entries if len(entries) == len(self.attacks) else [{} for _ in self.attacks]

    @property
    def training(self) -> dict[str, Any]:
        """What repeats of the training, where the provenance holds it: `attacked`, `collapses`; else empty."""
        return self.provenance.get("training", {})

    def radii(self) -> dict[str, str]:
        """The radius of each norm attacked, as written."""
        return {a.norm: a.radius for a in self.attacks}

    @property
    def name(self) -> str:
        """Who was evaluated, with what."""
        return f"{self.dataset}/{self.method}/seed{self.seed}/{self.suite}-{self.profile}"


def read(path: str | Path, content: bytes | None = None) -> Record:
    """Reads a record; of bytes that were read already, such as an archive's member, `path` is the name.

    Raises:
        RecordError: for another schema, a missing or unknown key, columns of different length, or what can't be
            printed.
    """
    return read_as(path, Record, "a record as mngac evaluate writes it", "evaluate it anew", content)


def outcomes_digest(path: str | Path) -> str:
    """SHA-256 of what a record says of each image: equal for equal results, whenever and at whatever speed.

    Raises:
        RecordError: as for `read`.
    """
    record = read(path)
    said = [record.indices, record.clean, [(a.name, a.norm, a.radius, a.correct) for a in record.attacks]]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
