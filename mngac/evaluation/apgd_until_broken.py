"""APGD for evaluation: from several starts, and an image leaves as soon as one of them has broken it.

Each start of each image has a random stream of its own, named after the image's content: which images share a batch,
and how large a batch is, changes no start. What is left to depend on the batch is the classifier's own rounding.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from mngac.attacks.apgd import Ascent, Problem, draw, from_noise, through_larger_balls
from mngac.evaluation.until_broken import EVERY
from mngac.streams import stream

ROWS = 16
"""Rows are let go down to a multiple of this, broken ones beside the others: each new batch size costs milliseconds."""


@torch.no_grad()
def apgd_until_broken(problem: Problem, x: Tensor, y: Tensor, aims: Tensor, seed: int) -> Tensor:
    """APGD from every start; l_1 goes through larger balls first.

    The first start is every image's; then, as images are broken, more starts run together, in no more rows than there
    were images. The same call again is the same attack again.

    Args:
        problem: classifier, ball, steps, loss.
        x: images (batch, channels, height, width) in [0, 1].
        y: labels (batch,).
        aims: the class that each start aims at, int64 (starts, batch); the labels where the loss has no target.
        seed: of the random starts.

    Returns:
        x_adv in the ball and in [0, 1]: where an image was broken, a point that breaks it; else where a start ended.
    """
    x_adv = x.clone()
    whole = torch.arange(len(x), device=x.device)
    names = [hashlib.sha256(image.contiguous().numpy().tobytes()).hexdigest() for image in x.cpu()]
    first = 0
    while first < len(aims) and len(whole):
        # The rows that broken images free are given to further starts of those that are whole: the batch stays as
        # large, and as fast, as it was. An image's own starts do not depend on that: each has a stream of its own.
        starts = range(first, min(first + max(1, len(x) // len(whole)), len(aims)))
        owner = whole.repeat(len(starts))
        noise = _noise(problem.norm, x, [(k, names[i]) for k in starts for i in whole.tolist()], seed)
        begin = through_larger_balls if problem.norm == "l1" else from_noise
        ascent = begin(problem, x[owner], y[owner], aims[first : starts.stop, whole].flatten(), noise)
        whole = whole[~_climb(ascent, owner, x_adv)[whole]]
        first = starts.stop
    return x_adv.clamp(0, 1)


def _noise(norm: str, x: Tensor, names: list[tuple[int, str]], seed: int) -> Tensor:
    """A row of noise for each start and image, drawn on the host so that every device gets the same."""
    rows = [draw(torch.empty(x.shape[1:]), norm, stream(seed, "apgd start", k, image)) for k, image in names]
    return torch.stack(rows).to(x.device)


def _climb(ascent: Ascent, owner: Tensor, x_adv: Tensor) -> Tensor:
    """Takes the ascent's steps, writes each image's point into `x_adv`, and says who is broken: bool (images,)."""
    broken = torch.zeros(len(x_adv), dtype=torch.bool, device=x_adv.device)
    while True:
        broken |= _write(x_adv, owner, ascent.fooled & ~broken[owner], ascent.adversarial)
        done = broken[owner]
        whole = len(owner) - int(done.sum())  # of a look at who is broken, all that waits for the device
        if not whole or ascent.taken >= ascent.problem.steps:
            _write(x_adv, owner, ~done, ascent.point)
            return broken
        kept = done.byte().argsort(stable=True)[: -(-whole // ROWS) * ROWS]
        owner = owner[kept]
        ascent.keep(kept)
        for _ in range(min(EVERY, ascent.problem.steps - ascent.taken)):
            ascent.advance()


def _write(x_adv: Tensor, owner: Tensor, chosen: Tensor, points: Tensor) -> Tensor:
    """Writes the first chosen row of each image, and says which images have one: rows of one image never mix."""
    count = len(owner)
    if not count:
        return torch.zeros(len(x_adv), dtype=torch.bool, device=x_adv.device)
    rows = torch.where(chosen, torch.arange(count, device=x_adv.device), count)
    first = torch.full((len(x_adv),), count, device=x_adv.device).scatter_reduce_(0, owner, rows, "amin")
    written = first < count
    x_adv.copy_(torch.where(written.view(-1, 1, 1, 1), points[first.clamp_max(count - 1)], x_adv))
    return written
