"""rotation_translation: the image turned and shifted, the worst of a grid; no pixel is changed by itself."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import is_correct
from mngac.shapes import Images, Labels
from mngac.unforeseen.search import Search

ROUNDING = 1e-4
"""By which a witness, in degrees and pixels, may be above the budget."""


def moved(x: Images, motion: Tensor) -> Images:
    """The images turned about their middle, then shifted; bilinear, black comes in from outside.

    Args:
        x: images (batch, channels, height, width) in [0, 1].
        motion: (batch, 3): degrees, counterclockwise as the image is seen; pixels to the right; pixels downwards.
    """
    angle = motion[:, 0] * math.pi / 180
    half = torch.tensor([x.shape[-1] / 2, x.shape[-2] / 2], device=x.device)
    cos, sin = angle.cos(), angle.sin()
    # affine_grid asks for each output place where it comes from, with the image's sides at -1 and 1.
    shift = motion[:, 1:] / half
    aspect = half[1] / half[0]
    first = torch.stack([cos, -sin * aspect, -shift[:, 0] * cos + shift[:, 1] * sin * aspect], 1)
    second = torch.stack([sin / aspect, cos, -shift[:, 0] * sin / aspect - shift[:, 1] * cos], 1)
    places = F.affine_grid(torch.stack([first, second], 1), list(x.shape), align_corners=False)
    return F.grid_sample(x, places, align_corners=False).clamp(0, 1)


def _values(budget: float, count: int) -> Tensor:
    """Evenly from one end of a budget to the other; a single one stays at nothing."""
    return torch.linspace(-budget, budget, count) if count > 1 else torch.zeros(1)


class Attack(Search):
    """Engstrom et al. 2019, section 3: every rotation with every translation of a grid, until one breaks the image."""

    @property
    def budget(self) -> str:
        """Such as `30 degrees, 1 pixel`."""
        shift = self.config.shift
        return f"{self.config.degrees:g} degrees, {shift:g} pixel{'' if shift == 1 else 's'}"

    def search(self, classifier: Classifier, x: Images, y: Labels) -> Tensor:
        """Degrees, and pixels to the right and downwards, (batch, 3): the first that break; else none."""
        angles, shifts = self.config.angles, self.config.shifts
        turns, steps = _values(self.config.degrees, angles), _values(self.config.shift, shifts)
        found = torch.zeros(len(x), 3, device=x.device)
        whole = torch.arange(len(x), device=x.device)
        with torch.no_grad():
            for motion in torch.cartesian_prod(turns, steps, steps).to(x.device):
                motions = motion.expand(len(whole), 3)
                broken = ~is_correct(classifier(moved(x[whole], motions)), y[whole])
                found[whole[broken]] = motion
                whole = whole[~broken]
                if not len(whole):
                    break
        return found

    def within(self, x: Images, witness: Tensor) -> Tensor:
        """Whether angle and shifts keep to the budget."""
        most = torch.tensor([self.config.degrees, self.config.shift, self.config.shift], device=x.device)
        return (witness.abs() <= most + ROUNDING).all(1)

    def made(self, x: Images, witness: Tensor) -> Images:
        """The images moved anew."""
        return moved(x, witness)
