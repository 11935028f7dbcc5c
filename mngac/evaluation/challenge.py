"""A union challenged: its images attacked again with other seeds, by other suites, with other rows' images.

Each round sees only what all before it left, so the union can only fall: by how much tells how tight it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mngac.evaluation.flags import is_black_box
from mngac.evaluation.loop import Silent, evaluate
from mngac.evaluation.transfer import Crafted, transferred
from mngac.params.sections import Radii, Rounds
from mngac.pipeline.progress import Log
from mngac.results.challenges import TRANSFER, Round, left
from mngac.results.records import AttackRecord


def challenge(
    classifier: torch.nn.Module,
    images: Tensor,
    labels: Tensor,
    radii: Radii,
    standing: Sequence[bool],
    rounds: Rounds,
    crafted: Crafted | None = None,
    *,
    device: str = "cpu",
    work: Path | None = None,
    log: Log | None = None,
) -> tuple[list[Round], dict[str, float]]:
    """Attacks what stands, round after round.

    Args:
        classifier: images in [0, 1] (batch, channels, height, width) -> logits (batch, classes), deterministic.
        images: uint8 (n, channels, height, width), or float in [0, 1].
        labels: int64 (n,).
        radii: of the norms' balls, on images in [0, 1].
        standing: per image, whether the record's union has it.
        rounds: names and suites, in their order; each attack sees survivors only.
        crafted: adversarial images of other rows, tried in a last round; none by default.
        device: where batches are put.
        work: a folder for finished tasks, from which the same challenge goes on; none by default.
        log: where progress is shown; nowhere by default.

    Returns:
        the rounds, and the seconds of each by its name.
    """
    log = log or Silent()
    before = "".join("1" if each else "0" for each in standing)
    done: list[Round] = []
    seconds: dict[str, float] = {}
    for number, (name, suite) in enumerate(rounds, start=1):
        found = evaluate(
            classifier,
            images,
            labels,
            suite.model_copy(update={"mode": "survivors"}),
            radii,
            device=device,
            resume=work / f"round{number}.jsonl" if work else None,
            standing=left(before, done),
            log=log,
        )
        blind = [is_black_box(config.attack) for config in suite.attacks]
        done.append(_round(name, suite.seed, found.attacks, blind, found.flags))
        seconds[done[-1].name] = round(sum(found.seconds.values()), 3)
        log.line(f"{log.name}  round {number}, {done[-1].name}: {sum(left(before, done))} of {len(before)} are left")
    if crafted:
        attacks, seconds[TRANSFER] = transferred(classifier, images, labels, radii, left(before, done), crafted, device)
        done.append(_round(TRANSFER, 0, attacks, [True] * len(attacks), []))
        log.line(f"{log.name}  {TRANSFER}: {sum(left(before, done))} of {len(before)} are left")
    return done, seconds


def _round(name: str, seed: int, attacks: list[AttackRecord], blind: Sequence[bool], flags: list[str]) -> Round:
    """A round's findings; `blind` says which attacks use no gradients of the classifier."""
    broken = {
        kind: {i for a, b in zip(attacks, blind, strict=True) if b is kind for i in _broken(a)}
        for kind in (True, False)
    }
    only_blind = len(broken[True] - broken[False])
    return Round(suite=name, attack_seed=seed, attacks=attacks, without_gradients=only_blind, flags=flags)


def _broken(attack: AttackRecord) -> list[int]:
    return [i for i, mark in enumerate(attack.correct) if mark == "0"]
