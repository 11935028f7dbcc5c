"""A suite's own APGD against pyautoattack's: the same losses, steps, starts and targets, in turns.

The suite is run as it is, and with each `batched_apgd_*` exchanged for pyautoattack's attack of the same settings, by
the same evaluation. pyautoattack's targeted loss is the ratio of differences of logits, ours the margin. It is timed
twice: as one runs it elsewhere, on weights in torch's default memory format, batch norms as they are, malloc as it
comes; and `here`, on the very classifier and under the very malloc setting that ours has.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks import subjects
from benchmarks.memory import allocator
from benchmarks.turns import Spread, in_turns, ratio
from mngac.attacks.pgd import Classifier
from mngac.evaluation.loop import Evaluation, evaluate
from mngac.models.layout import lay_out
from mngac.params.checks import load
from mngac.params.errors import UserError
from mngac.params.sections import AttackConfig, Suite
from mngac.params.types import NORMS
from mngac.tuning.timing import Clock

THEIRS = {"batched_apgd_ce": "apgd_ce", "batched_apgd_t": "apgd_t"}
SIDES = ("pyautoattack", "pyautoattack here", "ours")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the benchmark."""
    parser.add_argument("--suite", default="quick", help="of params.yaml (default: quick)")
    subjects.add_options(parser)


def exchanged(attack: AttackConfig) -> AttackConfig:
    """pyautoattack's attack with the settings of ours.

    Raises:
        UserError: for an attack that it has no like of.
    """
    if attack.attack not in THEIRS:
        raise UserError(f"--suite: found {attack.attack} in it; allowed: a suite of {' and '.join(THEIRS)}")
    stated = attack.model_dump(exclude_unset=True) | {"attack": THEIRS[attack.attack]}
    return AttackConfig(**{"restarts": 1, **stated})


def elsewhere(classifier: Classifier) -> Classifier:
    """The classifier as one has it elsewhere: contiguous weights, and a function, of which no cheaper copy is made."""
    copied = copy.deepcopy(classifier)
    if isinstance(copied, nn.Module):
        lay_out(copied, "contiguous")
    return lambda x: copied(x)


def rows(a: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row a norm, and one of all norms together."""
    torch.set_num_threads(a.threads)
    whom, suite, clock = subjects.subject(a), load().evaluation[a.suite], Clock(a.device, a.threads)
    plain = replace(whom, classifier=elsewhere(whom.classifier))
    totals: dict[str, list[float]] = {name: [0.0] * a.turns for name in SIDES}
    unions: dict[str, list[bool]] = {}
    for norm in NORMS:
        attacks = [attack for attack in suite.attacks if attack.norm == norm]
        if not attacks:
            continue
        ours = suite.model_copy(update={"attacks": attacks})
        theirs = suite.model_copy(update={"attacks": [exchanged(attack) for attack in attacks]})
        found: dict[str, Evaluation] = {}
        given = {"pyautoattack": (theirs, plain), "pyautoattack here": (theirs, whom), "ours": (ours, whom)}
        for name, (chosen, subject) in given.items():
            timed(name, chosen, subject.few(), a.device, clock, found)
        sides = {name: partial(timed, name, *given[name], a.device, clock, found) for name in SIDES}
        turns = in_turns(sides, a.turns)
        standing = {name: found[name].robust(norm) for name in SIDES}
        for name in SIDES:
            totals[name] = [before + s for before, s in zip(totals[name], turns[name], strict=True)]
            unions[name] = [u and r for u, r in zip(unions.get(name, standing[name]), standing[name], strict=True)]
        yield row(norm, whom, turns, standing)
    yield row("all", whom, totals, unions)


def timed(
    name: str, suite: Suite, whom: subjects.Subject, device: str, clock: Clock, found: dict[str, Evaluation]
) -> float:
    """Seconds of an evaluation, which is left in `found`."""
    allocator(kept=name != "pyautoattack")
    started = clock.now()
    found[name] = evaluate(whom.classifier, whom.images, whom.labels, suite, whom.radii, device=device)
    return clock.now() - started


def row(norm: str, whom: subjects.Subject, turns: dict[str, list[float]], standing: dict[str, list[bool]]) -> dict:
    """Seconds, ratio, and the accuracy that each side leaves."""
    return {
        "norm": norm,
        "classifier": whom.name,
        "n": len(whom.labels),
        "turns": len(turns["ours"]),
        "ours_seconds": Spread.of(turns["ours"]).as_dict(),
        "pyautoattack_seconds": Spread.of(turns["pyautoattack"]).as_dict(),
        "ratio": ratio(turns["pyautoattack"], turns["ours"]).as_dict(),
        "ratio_here": ratio(turns["pyautoattack here"], turns["ours"]).as_dict(),
        "robust_percent": {name: round(100 * sum(marks) / len(marks), 2) for name, marks in standing.items()},
    }
