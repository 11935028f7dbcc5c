"""Parts of a record: names and texts that may be printed, and what is taken for granted of `timing` and `provenance`.

These two are free, so that a record may tell more than this version knows; but what is named here has its form.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mngac.params.types import Norm

MOST_NAME = 255


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("printable text")
    return text


def _name(text: str) -> str:
    if "/" in text or text in (".", ".."):
        raise ValueError("a name without /, since it names files")
    return text


Text = Annotated[str, AfterValidator(_printable)]
"""Of a record: it is printed as it stands, so it may not move the cursor or end the line."""
Label = Annotated[Text, Field(min_length=1, max_length=MOST_NAME), AfterValidator(_name)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Loose(BaseModel):
    """Part of a record that may hold more than is named here; what is named is what tables and reports rest on."""

    model_config = ConfigDict(strict=True)


class Collapse(Loose):
    """An epoch that lost a norm's robustness: its accuracy before and after, in percent."""

    epoch: int
    norm: Norm
    before: Number
    after: Number


class Training(Loose):
    """What repeats of a training."""

    attacked: bool | None = None
    collapses: list[Collapse] = []


class Spent(Loose):
    """What a training took."""

    seconds: Number | None = None
    process_seconds: Number | None = None
    images_seen: int | None = None
    flops: Number | None = None
    forward_passes: Number | None = None


class Begun(Spent):
    """The training that a fine-tuned classifier started from."""

    method: Text


class Cost(Training, Spent):
    """What a training cost: train.json, and so `timing.training`."""

    epochs: Number | None = None
    device: Text = ""
    start: Begun | None = None


class Timing(Loose):
    """`timing` of a record."""

    seconds: dict[Text, Number] = {}
    training: Cost = Cost()


class Entry(Loose):
    """An attack's entry of a suite."""

    attack: Text
    norm: Norm
    steps: int | None = None
    restarts: int = 1
    targets: int | None = None
    queries: int | None = None


class Entries(Loose):
    """A suite."""

    attacks: list[Entry] = []


class Evaluated(Loose):
    """Parameters of an evaluation."""

    suite: Entries = Entries()


class Provenance(Loose):
    """`provenance` of a record."""

    key: Text = ""
    code: Text = ""
    commit: Text = ""
    mngac: Text = ""
    project: Text = ""
    device: Text = ""
    held_out: Text = ""
    versions: dict[Text, Text] = {}
    params: Evaluated = Evaluated()
    training: Training = Training()


class Parts(Loose):
    """The parts of a record that are free but for what is named here."""

    timing: Timing
    provenance: Provenance
