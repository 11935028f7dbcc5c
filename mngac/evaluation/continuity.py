"""How a classifier's logits follow small changes of its images: honest ones neither stand still nor jump."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.precision import below_notice, coarseness, resolution
from mngac.shapes import Images, Logits
from mngac.streams import stream

LEAST, MORE, FAR = 1e-6, 1e-3, 1e-1
"""Changes of a pixel: of its last bits; a thousand times as much; so much that every classifier notices."""
LEVEL = 1 / 255
"""A grey level."""
JUMP = 10.0
"""Times that a change may move logits as far as the like change beyond it, before that is a jump."""
PIXELS = 512
"""Pixels, at most, whose last bits are changed: among many more, some would cross a threshold of whatever rounds."""


@torch.no_grad()
def discontinuities(classifier: Classifier, x: Images) -> list[str]:
    """Red flags of logits that do not follow their images, with the number of images.

    Args:
        classifier: images in [0, 1] (batch, channels, height, width) -> logits (batch, classes), deterministic.
        x: images.
    """
    logits = classifier(x)
    if not bool(logits.isfinite().all()):
        return []
    same, still = saturated(x, logits), _still(classifier, x)
    near = _Near(classifier, x, logits.float(), below_notice(logits))
    findings = [
        (same, "the outputs are saturated: other images get the very same numbers"),
        (still, "the logits do not change with the image's last bits"),
        (0 if still else near.jumps(), f"the logits jump under a change of {LEAST}"),
        (
            0 if still else near.remembered(),
            "the logits jump when an image changes by a grey level, not beyond",
        ),
    ]
    return [f"{text}: on {count} of {len(x)} images" for count, text in findings if count]


def saturated(x: Images, logits: Logits) -> int:
    """Images whose logits, in any order of the classes, are another image's: at most those that differ as images."""
    return max(0, len(x.flatten(1).unique(dim=0)) - len(logits.sort(1).values.unique(dim=0)))


def _still(classifier: Classifier, x: Images) -> int:
    """Images whose logits stay the same to the last bit where they should move by more than they resolve.

    That is, in proportion to what a large change of the same pixels does. The last bits are those of the logits'
    precision: bfloat16 has them at a change of 0.07. The images are moved a little first: they lie on grey levels,
    where thresholds may lie, too.
    """
    draw = stream(0, "probe last bits")
    x = 0.05 + 0.85 * x + 0.04 * torch.rand(x.shape, generator=draw).to(x)
    step = torch.zeros(x[0].numel())
    step[torch.randperm(len(step), generator=draw)[:PIXELS]] = 1.0
    direction = step.view(x.shape[1:]).to(x)
    given = classifier(x)
    length = LEAST * coarseness(given)
    logits, least, far = (
        given.float(),
        classifier(x + length * direction).float(),
        classifier(x + FAR * direction).float(),
    )
    resolved = 2 * resolution(given) * logits.abs().amax(1)
    return int(((least == logits).all(1) & (_distance(far, logits) * length / FAR > resolved)).sum())


@dataclass(frozen=True)
class _Near:
    """A classifier, images and their logits, and what becomes of these in the images' neighbourhood."""

    classifier: Classifier
    x: Images
    logits: Logits
    below_notice: float
    """Share of the largest logit."""

    def jumps(self) -> int:
        """Images that the least change moves by a tenth or more of what a change 1,000 times as large does."""
        least = _distance(self._moved(self._signs(), LEAST), self.logits)
        more = _distance(self._moved(self._signs(), MORE), self.logits)
        return int((least > torch.maximum(self._rounding, more / JUMP)).sum())

    def remembered(self) -> int:
        """Images that one grey level, of all pixels or of one, moves much further than a second one does."""
        found = torch.zeros(len(self.x), dtype=torch.bool, device=self.x.device)
        for direction in (self._signs(), self._one_pixel()):
            one, two = self._moved(direction, LEVEL), self._moved(direction, 2 * LEVEL)
            found |= _distance(one, self.logits) > JUMP * _distance(two, one) + self._rounding
        return int(found.sum())

    def _moved(self, direction: Tensor, length: float) -> Logits:
        return self.classifier((self.x + length * direction).clamp(0, 1)).float()

    def _signs(self) -> Tensor:
        """A direction that changes every pixel by 1, away from the nearer end of [0, 1]."""
        drawn = 2 * torch.randint(0, 2, self.x.shape, generator=stream(0, "probe signs")).to(self.x) - 1
        return torch.where(self.x < 0.1, 1.0, torch.where(self.x > 0.9, -1.0, drawn))

    def _one_pixel(self) -> Tensor:
        """A direction that changes one pixel by 1."""
        size = self.x[0].numel()
        where = torch.randint(0, size, (len(self.x), 1), generator=stream(0, "probe pixel")).to(self.x.device)
        return torch.zeros(len(self.x), size).to(self.x).scatter_(1, where, 1.0).view_as(self.x) * self._signs()

    @property
    def _rounding(self) -> Tensor:
        """What changes of the logits are below notice."""
        return self.below_notice * self.logits.abs().amax().clamp_min(1e-12)


def _distance(first: Logits, second: Logits) -> Tensor:
    """Per image: the largest change of a logit."""
    return (first - second).abs().amax(1)
