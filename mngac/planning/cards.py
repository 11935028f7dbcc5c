"""How fast a card is taken to be: as it was measured here, else a share of what its data sheet promises."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from mngac.params.errors import ParamsError, listed, shown
from mngac.params.shipped import shipped
from mngac.pipeline.device import decided

CPU = "cpu"
SHEETS = Path(__file__).with_name("cards.yaml")
MEASURED = shipped("docs/measurements.json")
"""Of `python -m benchmarks train`."""


@dataclass(frozen=True)
class Speed:
    """Operations a second, and where the number comes from, in a line."""

    flops: float
    source: str


@dataclass(frozen=True)
class Choice:
    """What is computed on, and at what price."""

    card: str
    """Of cards.yaml, or `cpu`: cores of it, each with a job of its own."""
    utilisation: float
    """Share of a data sheet's figure that is reached, where nothing was measured."""
    gpus: int
    """Cards, or cores, at once."""
    price: float | None
    """Of a card and hour; None: no money is spoken of."""


def choice_of(device: str, card: str | None, utilisation: float, gpus: int, price: float | None) -> Choice:
    """The choice; without a card the CPU where the run's device is that, else the first of cards.yaml.

    Args:
        device: `run.device`; `auto` is what is here.
        card: of cards.yaml, or `cpu`.
        utilisation: as in Choice.
        gpus: as in Choice.
        price: as in Choice.

    Raises:
        ParamsError: for a card that nothing is known of.
    """
    chosen = card or (CPU if decided(device) == CPU else next(iter(sheets())))
    if chosen != CPU and chosen not in sheets():
        raise ParamsError(f"--card: found {shown(chosen)}; allowed: {listed([*sheets(), CPU], chosen)}")
    return Choice(chosen, utilisation, gpus, price)


@functools.cache
def sheets() -> dict[str, dict[str, Any]]:
    """The data sheets of cards.yaml, by card."""
    return yaml.safe_load(SHEETS.read_text(encoding="utf-8"))


def memory(card: str) -> float | None:
    """Bytes of a card's memory; None for the CPU."""
    return None if card == CPU else 1e9 * sheets()[card]["memory"]


def speed(card: str, precision: str, utilisation: float, measured: Path = MEASURED) -> Speed | None:
    """How fast a card takes passes in a precision: bfloat16, tf32 or float32; None where nothing says it.

    Args:
        card: of cards.yaml, or `cpu`: one of its cores.
        precision: of the matrix products.
        utilisation: the share of a data sheet's figure that is reached, where nothing was measured.
        measured: docs/measurements.json.
    """
    found = [*_measured(card, precision, measured)]
    if found:
        name = found[0][0]
        flops = 1e9 * median(value for _, value in found)
        return Speed(flops, f"{flops / 1e9:,.0f} GFLOP/s in {precision}, measured on {name} (docs/measurements.md)")
    if card == CPU:
        return None
    peak = sheets()[card][precision]
    text = f"{utilisation:.0%} of the {peak:g} TFLOP/s in {precision} of its data sheet: assumed, nothing is measured"
    return Speed(utilisation * 1e12 * peak, text)


def _measured(card: str, precision: str, path: Path) -> Iterator[tuple[str, float]]:
    """Machine and GFLOP/s of each training step that was timed on the card, or on one core of a CPU."""
    runs = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else []
    for run in runs:
        machine = run["machine"]
        gpu = machine.get("gpu")
        fits = gpu is None and machine["threads"] == 1 if card == CPU else gpu and sheets()[card]["name"] in gpu
        if run["benchmark"] != "train" or not fits:
            continue
        what = gpu or f"one core of {machine['cpu']}"
        for row in run["rows"]:
            if row["computed_in"].split()[0] == precision and row["norm"] != "mean":
                yield f"{what}, {run['settings']['model']}", row["gflops_per_second"]
