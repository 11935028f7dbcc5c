"""How fast the run's own jobs were, of those that the cache has: what no benchmark and no data sheet knows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from mngac.params.errors import UserError
from mngac.pipeline.jobs import TRAININGS
from mngac.planning.cards import CPU, sheets
from mngac.planning.states import Foretold
from mngac.planning.work import EVALUATIONS, Work
from mngac.results.records import read

Place = tuple[str, str]
"""What is alike enough: trainings or evaluations, of a data set."""


@dataclass
class Taken:
    """What jobs of a place took on the card together."""

    flops: float = 0.0
    seconds: float = 0.0
    jobs: int = 0

    @property
    def speed(self) -> float:
        """Operations a second."""
        return self.flops / self.seconds


def place_of(found: Foretold) -> Place | None:
    """A job's place; None where its speed is nobody's concern."""
    for what, stages in (("trainings", TRAININGS), ("evaluations", EVALUATIONS)):
        if found.job.stage.name in stages:
            return what, found.job.wildcards["dataset"]
    return None


def taken(done: Iterable[tuple[Foretold, Work | None]], card: str) -> dict[Place, Taken]:
    """What the hits of a run took, by place, as far as they ran on the card.

    Args:
        done: jobs with what was foretold of them.
        card: of cards.yaml, or `cpu`.
    """
    places: dict[Place, Taken] = {}
    for found, work in done:
        place, seconds = place_of(found), _seconds(found, card)
        if place and work and work.flops and seconds:
            one = places.setdefault(place, Taken())
            one.flops, one.seconds, one.jobs = one.flops + work.flops, one.seconds + seconds, one.jobs + 1
    return places


def _seconds(found: Foretold, card: str) -> float | None:
    """Seconds of the processor, or of the card, that a hit took; None where it says none, or was made on another."""
    if found.entry is None or found.job.stage.name not in (*TRAININGS, "evaluate") or found.job.shards:
        return None
    try:
        if found.job.stage.name != "evaluate":
            about = json.loads((found.entry.folder / "train.json").read_text(encoding="utf-8"))
            return about["process_seconds"] if _on(about["device"], card) else None
        timing = read(found.entry.folder / "record").timing
        return sum(timing["seconds"].values()) if _on(timing["training"]["device"], card) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError):
        return None  # whoever reads it for its own sake is told what is wrong with it


def _on(device: str, card: str) -> bool:
    """Whether a device, as torch names it, is the card."""
    return device == CPU if card == CPU else sheets()[card]["name"] in device
