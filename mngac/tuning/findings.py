"""What `mngac tune` found on one data set, in words: a line a variant, what it rests on, the lines of params.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from mngac.models.layout import FORMATS
from mngac.params.errors import cut
from mngac.tuning.choice import Compared, Timed, Whole, all_steps, chosen, whole_compiled, whole_of
from mngac.tuning.timing import TURNS


@dataclass
class Measured:
    """What was found on one data set."""

    timed: list[Timed]
    layout: str
    compared: dict[str, Compared]
    hindrance: str
    """What prevents compilation here; empty where nothing does."""

    def wholes(self) -> dict[str, Whole]:
        """All trainings in each variant, by name."""
        found = {layout: whole_of(self.timed, layout) for layout in _slowest_first(self.timed)}
        if self.compared:
            found[f"{self.layout}, compiled"] = whole_compiled(self.timed, self.layout, self.compared)
        return found

    def compiles(self, stated: bool) -> bool:
        """Whether trainings are to be compiled."""
        wholes = self.wholes()
        variants = {"eager": self.layout, "compiled": f"{self.layout}, compiled"}
        known = {name: wholes[variant] for name, variant in variants.items() if variant in wholes}
        return bool(self.compared) and chosen(known, "compiled" if stated else "eager") == "compiled"


def _slowest_first(timed: list[Timed]) -> list[str]:
    return sorted(FORMATS, key=lambda layout: -whole_of(timed, layout).steps)


def table(measured: Measured) -> list[str]:
    """A line a variant: milliseconds a step, times as fast as the first, seconds of compiling and of all trainings."""
    wholes, steps = measured.wholes(), all_steps(measured.timed)
    trainings = sum(each.trainings for each in measured.timed)
    slowest = next(iter(wholes.values())).steps
    lines = [f"  {'':<25}{'ms a step':>10}{'gain':>7}{'s to compile':>14}{'s in all':>10}"]
    for name, whole in wholes.items():
        compiling = f"{whole.compiling / trainings:.1f}" if whole.compiling else "-"
        gain = f"{slowest / whole.steps:.2f}"
        step = f"{1000 * whole.steps / steps:.1f}"
        lines.append(f"  {name:<25}{step:>10}{gain:>7}{compiling:>14}{whole.seconds:>10,.0f}")
    return lines


def notes(measured: Measured) -> list[str]:
    """What the table rests on."""
    timed, steps = measured.timed, all_steps(measured.timed)
    trainings = sum(each.trainings for each in timed)
    found = [f"  {trainings} trainings, {steps:,} steps in all; medians of {TURNS} steps taken in turns"]
    if measured.compared:
        gains = [f"{name} {each.eager / each.compiled:.2f}" for name, each in measured.compared.items()]
        found.append("  s to compile: of each training, which is a process of its own, with an empty compiler's cache")
        found.append(f"  compiled, and gain a step: {', '.join(gains)}")
        if len(measured.compared) < len(timed):
            found.append("  the other methods are taken in proportion to these three")
    if measured.hindrance:
        found.append(f"  no torch.compile here: {cut(measured.hindrance, 55)}")
    return found


def lines_of(dataset: str, layout: str, compiled: bool) -> list[str]:
    """The lines of params.yaml."""
    return ["training:", f"  {dataset}: {{layout: {layout}, compile: {str(compiled).lower()}}}"]
