"""The competitiveness ratio: how near a method comes, attack by attack, to those trained for that attack alone.

Of MultiRobustBench (Dai et al., ICML 2023, arXiv:2302.10980): CR of a defence on an attack is its robust accuracy over
that of the classifier adversarially trained against this attack alone, in percent; over a set of attacks, CR_ind-avg is
the mean of these ratios and CR_ind-worst the least of them. In its code the clean images are one more attack, of the
classifier trained without any; here where `clean` of the attack space says so.

Ours: an attack is a norm at a radius, where any of the suite's attacks on that norm breaks an image; the interval; that
a specialist which holds no image leaves the ratio undefined, and with it every set that has the attack. Loads without
torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mngac.params.attack_spaces import AttackSpace
from mngac.params.sections import Params
from mngac.params.types import NORMS
from mngac.results.bootstrap import Bounds, Outcomes, interval, resampled
from mngac.results.records import Record
from mngac.results.rows import Row, collect
from mngac.results.statistics import spread
from mngac.results.together import MEASUREMENT, check_alike

ALL = "all"


@dataclass(frozen=True)
class Attack:
    """One attack of a space: a norm's worst case at the radii of a profile, or none."""

    column: str
    """Of a record: a norm, or `clean`."""
    profile: str
    specialist: str
    """The method trained against it alone."""

    @property
    def name(self) -> str:
        """What tells it from the others."""
        return self.column if self.column == "clean" else f"{self.column} {self.profile}"


@dataclass(frozen=True)
class Ratios:
    """What a method reaches on a set of attacks; None where a record or a ratio is missing."""

    average: Bounds | None
    worst: Bounds | None
    weakest: str = ""
    """The attack of the least ratio."""


@dataclass(frozen=True)
class Standing:
    """A method with its ratios, by name of a set of attacks: each attack alone, each norm, all."""

    method: str
    seeds: int
    """Trainings that it has in common with all specialists."""
    ratios: dict[str, Ratios]


@dataclass(frozen=True)
class Competitiveness:
    """An attack space measured on a data set."""

    dataset: str
    space: AttackSpace
    attacks: list[Attack]
    rows: dict[str, list[Row]]
    """By profile: every method of the run, in its order."""
    standings: list[Standing]
    """One a row, in the same order."""

    @property
    def records(self) -> list[Record]:
        """All that it rests on."""
        return [record for rows in self.rows.values() for row in rows for record in row.records]

    @property
    def undefined(self) -> list[str]:
        """Attacks against which the specialist's record holds no image."""
        records = {a: _records(self.rows, a.specialist, a).values() for a in self.attacks}
        return [a.name for a, each in records.items() if not all(any(r.column(a.column)) for r in each)]


def attacks_of(space: AttackSpace) -> list[Attack]:
    """The attacks of a space, norm by norm in the order of the tables, each with its specialist."""
    clean = [] if space.clean is None else [Attack("clean", space.profiles[0], space.clean)]
    return clean + [
        Attack(norm, profile, specialist)
        for norm in NORMS
        for profile, specialist in zip(space.profiles, space.specialists.get(norm, ()), strict=False)
    ]


def sets_of(attacks: Sequence[Attack]) -> dict[str, list[int]]:
    """The sets of attacks that ratios are taken over, as places in the list: each alone, each norm, all.

    Clean images are one of each norm's, too, as in MultiRobustBench's code.
    """
    norms: list[str] = [norm for norm in NORMS if any(a.column == norm for a in attacks)]
    alone = {attack.name: [i] for i, attack in enumerate(attacks)}
    of_norms = {norm: [i for i, a in enumerate(attacks) if a.column in ("clean", norm)] for norm in norms}
    return {**alone, **of_norms, ALL: list(range(len(attacks)))}


def ratios(shares: NDArray[np.float64], denominators: NDArray[np.float64]) -> NDArray[np.float64]:
    """CR of each attack in percent; not a number where the specialist's share is 0.

    Args:
        shares: (..., attacks), of a method.
        denominators: (..., attacks), of each attack's specialist.
    """
    undefined = np.full(np.broadcast_shapes(shares.shape, denominators.shape), np.nan)
    return 100 * np.divide(shares, denominators, out=undefined, where=denominators > 0)


def measured(params: Params, dataset: str, name: str) -> Competitiveness:
    """The ratios of all methods of the run on a data set.

    Raises:
        RecordError: where the records may not stand together.
    """
    space = params.attack_spaces[name]
    rows = {p: collect(params, dataset, params.run.all_methods, space.suite, p) for p in space.profiles}
    wanted = [fact for fact in MEASUREMENT if fact != "radii"]
    check_alike([r for each in rows.values() for row in each for r in row.records], params.run.mixed, wanted)
    attacks = attacks_of(space)
    denominators = _of_seeds([_records(rows, a.specialist, a) for a in attacks], attacks)
    held = {m: _of_seeds([_records(rows, m, a) for a in attacks], attacks) for m in params.run.all_methods}
    standings = [_standing(m, attacks, each, denominators, f"{name} on {dataset}") for m, each in held.items()]
    return Competitiveness(dataset, space, attacks, rows, standings)


def _records(rows: dict[str, list[Row]], method: str, attack: Attack) -> dict[int, Record]:
    """By seed: a method's records at an attack's radii."""
    row = next(row for row in rows[attack.profile] if row.method == method)
    return {record.seed: record for record in row.records}


def _of_seeds(of_attacks: Sequence[dict[int, Record]], attacks: Sequence[Attack]) -> dict[int, Outcomes]:
    """By seed: (attacks, images), from the records of each attack; seeds without all of them are left out."""
    pairs = list(zip(of_attacks, attacks, strict=True))
    seeds = [seed for seed in of_attacks[0] if all(seed in each for each in of_attacks)]
    return {seed: np.array([each[seed].column(a.column) for each, a in pairs], dtype=np.float64) for seed in seeds}


def _standing(
    method: str, attacks: Sequence[Attack], held: dict[int, Outcomes], denominators: dict[int, Outcomes], name: str
) -> Standing:
    """A method against the specialists of its own seed: one seed is resampled over images, several are spread."""
    pairs = [np.stack([held[seed], denominators[seed]]) for seed in denominators if seed in held]
    return Standing(method, len(pairs), _of_sets(attacks, pairs, name))


def _of_sets(attacks: Sequence[Attack], pairs: Sequence[Outcomes], name: str) -> dict[str, Ratios]:
    """Ratios by set of attacks, of a method's outcomes and its specialists', one pair a seed."""
    if not pairs:
        return {key: Ratios(None, None) for key in sets_of(attacks)}
    centres = np.stack([ratios(*pair.mean(-1)) for pair in pairs])
    drawn = ratios(*np.moveaxis(resampled(pairs[0], name), 1, 0)) if len(pairs) == 1 else None
    return {key: _of_set(attacks, places, centres, drawn) for key, places in sets_of(attacks).items()}


def _of_set(
    attacks: Sequence[Attack],
    places: list[int],
    centres: NDArray[np.float64],
    drawn: NDArray[np.float64] | None,
) -> Ratios:
    """Mean and least of some attacks' ratios: `centres` (seeds, attacks), `drawn` (resamples, attacks) of one seed."""
    own = centres[:, places]
    if np.isnan(own).any():
        return Ratios(None, None)
    weakest = attacks[places[int(own.mean(0).argmin())]].name
    if drawn is None:
        return Ratios(_over_seeds(own.mean(1)), _over_seeds(own.min(1)), weakest)
    some = drawn[:, places]
    average = interval(float(own.mean()), some.mean(1))
    return Ratios(average, interval(float(own.min()), some.min(1)), weakest)


def _over_seeds(values: NDArray[np.float64]) -> Bounds:
    centre, deviation = spread(values.tolist())
    return centre, centre - (deviation or 0.0), centre + (deviation or 0.0)
