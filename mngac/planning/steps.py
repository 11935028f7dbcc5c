"""The operations of a training step, for one image, by kind of method: what mngac/training/cost.py will count.

With F a forward pass and f its first layer: to the image and back takes 2 F; to the weights and back 3 F - f, since
nobody asks for the image's gradient. Tests hold each kind to the count of a real step. One's own kind is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mngac.params.sections import MethodConfig
from mngac.params.training import TrainingAttacks
from mngac.params.types import NORMS, Norm
from mngac.planning.networks import Network

EVERY = 8
"""Of MNG-AC's steps, the share that its diagnostics look at (mngac/methods/generator_diagnostics.py)."""


@dataclass(frozen=True)
class Step:
    """What a step of a method is made of."""

    config: MethodConfig
    attacks: TrainingAttacks
    classifier: Network
    generator: Network

    @property
    def norms(self) -> list[Norm]:
        """The norms that it trains on; those of a method that draws one a batch, it draws alike."""
        return [*(self.config.norms or [])]

    @property
    def to_weights(self) -> float:
        """A pass of a loss: forward, and back to the weights."""
        return 3 * self.classifier.forward - self.classifier.first

    def steps(self, norm: Norm) -> int:
        """Gradient steps of a norm's training attack."""
        return self.attacks.of(norm).steps

    def attack(self, norms: Sequence[Norm], kind: str | None = None) -> float:
        """The training attacks of some norms, of the kinds that are stated or of one."""
        passes = (2 * self.steps(norm) + start_of(kind or self.attacks.kind_in(norm)) for norm in norms)
        return sum(passes) * self.classifier.forward

    def drawn(self) -> float:
        """The training attack of a norm that is drawn: the mean."""
        return self.attack(self.norms) / len(self.norms)


def start_of(kind: str) -> int:
    """Passes of an attack beside two a step: apgd takes a gradient at its start, and needs none at its end."""
    return 1 if kind == "apgd" else 0


def _natural(s: Step) -> float:
    return s.to_weights


def _adversarial(s: Step) -> float:
    return s.attack(s.norms) + s.to_weights


def _trades(s: Step) -> float:
    """A clean pass to attack against; two views in the loss."""
    return s.classifier.forward + s.attack(s.norms, "pgd") + 2 * s.to_weights


def _average(s: Step) -> float:
    return s.attack(s.norms) + len(s.norms) * s.to_weights


def _maximum(s: Step) -> float:
    """A pass for each norm, to see which is the worst."""
    return s.attack(s.norms) + len(s.norms) * s.classifier.forward + s.to_weights


def _msd(s: Step) -> float:
    """A gradient, and a look at each norm's candidate, in every step."""
    looks = 2 + len(s.norms)
    return max(map(s.steps, s.norms)) * looks * s.classifier.forward + s.to_weights


def _stochastic(s: Step) -> float:
    views = 1 + bool(s.config.beta) * (1 + (s.config.noise == "gaussian"))
    return s.drawn() + views * s.to_weights


def _eat(s: Step) -> float:
    return s.attack(s.norms, "apgd") / len(s.norms) + s.to_weights


def _ramp(s: Step) -> float:
    """APGD in both norms; three passes of the loss, and the copy's on clean images."""
    return s.attack(s.norms, "apgd") + (3 + bool(s.config.projection)) * s.to_weights


def _soup(s: Step) -> float:
    """A classifier for each norm, attacked in it; comparing their mixtures is not counted."""
    return s.attack(s.norms) + len(s.norms) * s.to_weights


def _mng_ac(s: Step) -> float:
    """A look ahead, differentiated twice; three views.

    The look ahead: the view's pass and its gradients to weights and image, the attacked images' pass to the moved
    weights, and four passes for the second derivatives. The generator is trained on it, and asked once more.
    """
    c, g = s.classifier, s.generator
    second = 4 * c.forward - c.first
    ahead = 3 * c.forward + s.to_weights + second
    return s.drawn() + ahead + 4 * g.forward - g.first + 3 * s.to_weights


def _imported(s: Step) -> float:
    """Nothing is trained."""
    return 0.0


KINDS: dict[str, Callable[[Step], float]] = {
    "natural": _natural,
    "adversarial": _adversarial,
    "trades": _trades,
    "average": _average,
    "maximum": _maximum,
    "msd": _msd,
    "stochastic": _stochastic,
    "eat": _eat,
    "ramp": _ramp,
    "soup": _soup,
    "mng_ac": _mng_ac,
    "imported": _imported,
}
"""By file of mngac/methods."""


def of_a_step(step: Step) -> float | None:
    """Operations of a step, an image; None for a kind that nothing is known of: one's own."""
    kind = KINDS.get(step.config.kind)
    return kind(step) if kind else None


def diagnostics(step: Step) -> float:
    """Operations that looking at MNG-AC's generator takes beside its steps, an image and step; not in train.json."""
    if step.config.kind != "mng_ac":
        return 0.0
    c, g = step.classifier, step.generator
    return (2 * c.forward + 3 * (step.to_weights + c.forward) + g.forward) / EVERY


def monitor(classifier: Network, attacks: TrainingAttacks, steps: int) -> float:
    """Operations of an epoch's monitor, an image: an attack in each norm, and a pass for it and for the clean image.

    Not in train.json.
    """
    starts = sum(start_of(attacks.kind_in(norm)) for norm in NORMS)
    return classifier.forward * (2 * steps * len(NORMS) + starts + len(NORMS) + 1)
