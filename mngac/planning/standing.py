"""How many of its most passes each attack of a suite takes: images that are broken are let go, and cost no more.

Records tell it, where the run has some of the suite: in the cache, or in the workspace.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mngac.params.errors import UserError
from mngac.params.sections import Suite
from mngac.planning.attacks import at_most
from mngac.planning.states import Foretold
from mngac.results.records import Record, read

ASSUMED = 0.5
"""Without any record: of the images, those that an attack is asked about, and that withstand it to its end."""


@dataclass(frozen=True)
class Standing:
    """The share of its most passes that each attack of a suite takes, in the suite's order."""

    shares: list[float]
    records: int = 0
    """How many say so; 0 where it is assumed."""


class Known:
    """What the run's records say, by data set and suite."""

    def __init__(self, evaluations: Iterable[Foretold]):
        self.paths: dict[tuple[str, str], list[Path]] = {}
        self.said: dict[tuple[str, str], Standing] = {}
        """What was told so far, by data set and suite."""
        for found in evaluations:
            place = found.job.wildcards["dataset"], found.job.wildcards["suite"]
            path = _record(found)
            if path:
                self.paths.setdefault(place, []).append(path)

    def of(self, dataset: str, name: str, suite: Suite, classes: int) -> Standing:
        """The shares of a suite on a data set: means over its records there, else over those of other data sets."""
        if (dataset, name) not in self.said:
            self.said[dataset, name] = self._told(dataset, name, suite, classes)
        return self.said[dataset, name]

    def _told(self, dataset: str, name: str, suite: Suite, classes: int) -> Standing:
        others = [path for (_, other), paths in self.paths.items() if other == name for path in paths]
        for paths in (self.paths.get((dataset, name), []), others):
            records = [record for record in map(_opened, paths) if record and _alike(record, suite)]
            if records:
                each = [_shares(record, suite, classes) for record in records]
                return Standing([sum(values) / len(each) for values in zip(*each, strict=True)], len(each))
        return Standing([ASSUMED] * len(suite.attacks))


def _record(found: Foretold) -> Path | None:
    if found.entry:
        return found.entry.folder / "record"
    path = Path(found.job.outputs["record"])
    return path if path.is_file() else None


def _opened(path: Path) -> Record | None:
    try:
        return read(path)
    except UserError:
        return None  # whoever makes tables of it is told what is wrong with it


def _alike(record: Record, suite: Suite) -> bool:
    """Whether a record is of this suite's attacks, as the suite sets them now."""
    stated = suite.model_dump(exclude_none=True)
    same = all(record.suite_config.get(key) == stated[key] for key in ("attacks", "mode"))
    return same and len(record.attacks) == len(suite.attacks)


def _shares(record: Record, suite: Suite, classes: int) -> list[float]:
    most = [at_most(config, classes) for config in suite.attacks]
    return [
        attack.forwards / (record.n * passes.forward) if passes else ASSUMED
        for attack, passes in zip(record.attacks, most, strict=True)
    ]
