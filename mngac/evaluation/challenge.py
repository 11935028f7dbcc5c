"""A union challenged: its images attacked again with other seeds, by other suites, with other rows' images.

Each round sees only what all before it left, so the union can only fall: by how much tells how tight it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mngac.evaluation.flags import is_black_box
from mngac.evaluation.loop import Evaluation, Silent, evaluate
from mngac.evaluation.transfer import Crafted, transferred
from mngac.params.challenge import TRANSFER
from mngac.params.sections import Radii, Rounds, Suite
from mngac.pipeline.progress import Log
from mngac.results import red_flags
from mngac.results.challenges import Round, broken_blindly, left
from mngac.results.records import AttackRecord


@dataclass(frozen=True)
class Challenged:
    """What became of a union."""

    rounds: list[Round]
    confirmation: list[AttackRecord]
    """What attacks with the classifier's gradients did to the images that only attacks without had broken."""
    seconds: dict[str, float]
    """By round."""


def challenge(
    classifier: torch.nn.Module,
    images: Tensor,
    labels: Tensor,
    radii: Radii,
    standing: Sequence[bool],
    own: Suite,
    rounds: Rounds,
    crafted: Crafted | None = None,
    *,
    device: str = "cpu",
    work: Path | None = None,
    log: Log | None = None,
) -> Challenged:
    """Attacks what stands, round after round; then asks whether gradients find what attacks without them have broken.

    Args:
        classifier: images in [0, 1] (batch, channels, height, width) -> logits (batch, classes), deterministic.
        images: uint8 (n, channels, height, width), or float in [0, 1].
        labels: int64 (n,).
        radii: of the norms' balls, on images in [0, 1].
        standing: per image, whether the record's union has it.
        own: the record's suite.
        rounds: names and suites, in their order; each attack sees survivors only.
        crafted: adversarial images of other rows, tried in a last round; none by default.
        device: where batches are put.
        work: a folder for finished tasks, from which the same challenge goes on; none by default.
        log: where progress is shown; nowhere by default.
    """
    log = log or Silent()
    before = "".join("1" if each else "0" for each in standing)
    done: list[Round] = []
    seconds: dict[str, float] = {}

    def attacked(name: str, suite: Suite, standing: list[bool]) -> Evaluation:
        resume = work / f"{name}.jsonl" if work else None
        suite = suite.model_copy(update={"mode": "survivors"})
        return evaluate(
            classifier, images, labels, suite, radii, device=device, resume=resume, standing=standing, log=log
        )

    for number, (name, suite) in enumerate(rounds, start=1):
        found = attacked(f"round{number}", suite, left(before, done))
        blind = [is_black_box(config.attack) for config in suite.attacks]
        known = red_flags.overstates([config.model_dump(exclude_none=True) for config in suite.attacks])
        flags = [flag for flag in found.flags if flag not in known]  # of the suite, not of what is challenged
        done.append(Round(suite=name, attack_seed=suite.seed, attacks=found.attacks, blind=blind, flags=flags))
        seconds[done[-1].name] = round(sum(found.seconds.values()), 3)
        log.line(f"{log.name}  round {number}, {done[-1].name}: {sum(left(before, done))} of {len(before)} are left")
    if crafted:
        attacks, seconds[TRANSFER] = transferred(classifier, images, labels, radii, left(before, done), crafted, device)
        done.append(Round(suite=TRANSFER, attack_seed=0, attacks=attacks, blind=[True] * len(attacks), flags=[]))
        log.line(f"{log.name}  {TRANSFER}: {sum(left(before, done))} of {len(before)} are left")
    suspects, seeing = broken_blindly(done, len(before)), _with_gradients([own, *(suite for _, suite in rounds)])
    if not (any(suspects) and seeing.attacks):
        return Challenged(done, [], seconds)
    found = attacked("confirmation", seeing, suspects)
    seconds["confirmation"] = round(sum(found.seconds.values()), 3)
    return Challenged(done, found.attacks, seconds)


def _with_gradients(suites: Sequence[Suite]) -> Suite:
    """All attacks of some suites that use the classifier's gradients, each once, in the first one's batches."""
    attacks = [attack for suite in suites for attack in suite.attacks if not is_black_box(attack.attack)]
    different = [attack for i, attack in enumerate(attacks) if attack not in attacks[:i]]
    return suites[0].model_copy(update={"attacks": different})
