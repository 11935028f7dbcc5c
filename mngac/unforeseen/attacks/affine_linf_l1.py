"""affine_linf_l1: a share of the l_inf ball and the rest's share of the l_1 ball at once, by the project's own APGD."""

import torch
from torch import Tensor

from mngac.attacks.affine import Mix, affine_apgd, mixed, within
from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import TOLERANCE, is_correct
from mngac.params.types import number
from mngac.shapes import Images, Labels
from mngac.streams import stream
from mngac.unforeseen.search import Search


class Attack(Search):
    """Tramer and Boneh 2019: beta a + (1 - beta) b, a in the profile's l_inf ball and b in its l_1 ball.

    One beta an entry; their adversary may choose it, so that the worst of several entries is the stronger attack.
    """

    @property
    def mix(self) -> Mix:
        """The radii of the two parts."""
        radii = self.about.radii
        return Mix.of(number(radii.linf), number(radii.l1), self.config.beta)

    @property
    def budget(self) -> str:
        """Such as `0.5 of l_inf 8/255 + 0.5 of l_1 12`."""
        radii, beta = self.about.radii, self.config.beta
        return f"{beta:g} of l_inf {radii.linf} + {1 - beta:g} of l_1 {radii.l1}"

    def search(self, classifier: Classifier, x: Images, y: Labels) -> Tensor:
        """The parts, (batch, 2, channels, height, width); the images that a start has broken leave before the next."""
        parts = x.new_zeros(len(x), 2, *x.shape[1:])
        whole = torch.arange(len(x), device=x.device)
        for start in range(self.config.restarts):
            seed = self.about.entry.seed
            generator = stream(seed, "affine start", start, device=x.device) if start else None
            parts[whole] = affine_apgd(classifier, x[whole], y[whole], self.mix, self.config.steps, generator)
            with torch.no_grad():
                whole = whole[is_correct(classifier(mixed(x[whole], parts[whole])), y[whole])]
            if not len(whole):
                break
        return parts

    def within(self, x: Images, witness: Tensor) -> Tensor:
        """Whether each part is in its ball, up to rounding."""
        return within(witness, self.mix, TOLERANCE)

    def made(self, x: Images, witness: Tensor) -> Images:
        """Both parts added, clipped to the box: a point of the same mix."""
        return mixed(x, witness)
