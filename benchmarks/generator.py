"""What views are worth to MNG-AC's virtual step: Gaussian noise, the generator's, FGSM, x_adv, noise optimised for it.

    python -m benchmarks.generator --dataset digits --method mng_ac --seed 0

Of a trained method, batch by batch and norm by norm, on training images: the classifier takes one virtual step on the
view, or none, and its loss on attacked images is looked at, of the same batch and of another one. A table shows means
over batches of the differences to Gaussian noise's loss, with 95 % t intervals; the length of the step's gradient as a
share of Gaussian noise's; and its cosine with the gradient of the attacked images' own loss. A view that lowers the
other batch's loss no more than Gaussian noise does teaches nothing that Gaussian noise does not. On the CPU.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import torch
from tabulate import tabulate
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from benchmarks.errors import status_of
from mngac import tensors
from mngac.attacks.pgd import Attack
from mngac.attacks.training import attacked
from mngac.data import store
from mngac.data.pixels import to_unit
from mngac.methods.base import Batch, Step
from mngac.methods.generator_diagnostics import MetaStep, flat, reference_views
from mngac.methods.lookahead import meta_gradient, virtual_step
from mngac.models.files import load_classifier
from mngac.models.frozen import frozen_statistics, under_attack
from mngac.models.noise_generator import NoiseGenerator
from mngac.params.checks import load
from mngac.params.errors import ParamsError, listed
from mngac.params.sections import Params
from mngac.pipeline.paths import data_path, trained
from mngac.results.statistics import paired_t
from mngac.training.plan import training_attacks

GAUSSIAN, NO_STEP = "gaussian", "no step"
VIEWS = (NO_STEP, GAUSSIAN, "learned", "fgsm", "x_adv", "optimised")


@dataclass(frozen=True)
class Probe:
    """What a virtual step on a view does."""

    same: float
    """Loss in nats on attacked images of the batch that the step was taken on."""
    other: float
    """The same of another batch."""
    length: float
    """Of the step's gradient."""
    cosine: float
    """Of that gradient with the attacked images' own; 0 without a step."""


def gradient_of(classifier: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """Of the cross-entropy to all weights, in train mode; running statistics stay."""
    with frozen_statistics(classifier, "train"):
        return torch.autograd.grad(F.cross_entropy(classifier(x), y), list(classifier.parameters()))


def probe(
    classifier: nn.Module,
    view: Tensor | None,
    batch: Batch,
    attacked_batches: Sequence[Batch],
    rate: float,
    toward: Tensor,
) -> Probe:
    """A virtual step on a view of a batch, or none, and the losses on attacked images.

    Args:
        classifier: images -> logits.
        view: images (batch, channels, height, width) in [0, 1]; None for no step.
        batch: whose labels the view has.
        attacked_batches: x_adv of that batch, and of another one.
        rate: alpha of the virtual step.
        toward: gradient of the attacked images' own loss, in one row.
    """
    weights = dict(classifier.named_parameters())
    gradient = None if view is None else gradient_of(classifier, view, batch.y)
    moved: dict[str, Tensor] = {**weights} if gradient is None else virtual_step(weights, gradient, rate)
    with frozen_statistics(classifier, "train"), torch.no_grad():
        losses = [F.cross_entropy(functional_call(classifier, moved, (each.x,)), each.y) for each in attacked_batches]
    if gradient is None:
        return Probe(losses[0].item(), losses[1].item(), 0.0, 0.0)
    step = flat(gradient)
    return Probe(losses[0].item(), losses[1].item(), step.norm().item(), F.cosine_similarity(step, toward, 0).item())


def optimised(classifier: nn.Module, start: Tensor, seen: MetaStep, steps: int) -> Tensor:
    """A view whose noise descends on the meta loss itself, by projected steps from another view.

    Args:
        classifier: images -> logits.
        start: the view (batch, channels, height, width) in [0, 1], in the attack's ball.
        seen: batch, x_adv, attack and rate.
        steps: of a quarter of the radius, each with a second-order gradient.
    """
    x, attack, best = seen.batch.x, seen.attack, (float("inf"), start)
    view = start
    for k in range(steps + 1):
        loss, gradient = meta_gradient(classifier, view, seen.batch.y, seen.x_adv, seen.step.learning_rate)
        best = min(best, (loss.item(), view), key=lambda each: each[0])
        if k < steps:
            ascended = view - x + attack.lp.ascend(-gradient, attack.radius / 4, attack.top)
            view = x + attack.lp.to_ball(x, ascended, attack.radius)
    return best[1]


def probes(
    classifier: nn.Module,
    generator: NoiseGenerator | None,
    batches: Sequence[Batch],
    attack: Attack,
    step: Step,
    k: int,
) -> dict[str, Probe]:
    """Every view's, of one batch in one norm, with another one beside it; `k`: steps of the optimised one."""
    with under_attack(classifier, "train"):
        found = [attacked(classifier, b.x, b.y, attack, step.stream(f"x_adv {i}")) for i, b in enumerate(batches)]
    attacked_batches = [Batch(x_adv, b.y) for x_adv, b in zip(found, batches, strict=True)]
    batch = batches[0]
    seen = MetaStep(batch, found[0], attack, step, torch.zeros(()), ())
    with under_attack(classifier, "train"):
        views: dict[str, Tensor | None] = {NO_STEP: None, **reference_views(classifier, seen)}
    if generator is not None:
        with torch.no_grad():
            noise = generator(batch.x, generator.draw(batch.x, step.stream("noise")))
        views["learned"] = attack.lp.add_noise(batch.x, noise, attack.radius)
    start = views[GAUSSIAN]
    assert start is not None
    views["optimised"] = optimised(classifier, start, seen, k)
    toward = flat(gradient_of(classifier, found[0], batch.y))
    given = (batch, attacked_batches, step.learning_rate, toward)
    return {name: probe(classifier, views[name], *given) for name in VIEWS if name in views}


def two_batches(split: store.Split, size: int, step: Step) -> list[Batch]:
    """Two batches of so many images, of which none is in both."""
    drawn = torch.randperm(len(split), generator=step.host_stream("images"))[: 2 * size]
    return [Batch(to_unit(split.images[each]), split.labels[each]) for each in drawn.split(size)]


def rows(params: Params, a: argparse.Namespace) -> list[dict[str, str]]:
    """A line a norm and view."""
    if a.method not in params.methods:
        raise ParamsError(f"--method: found {a.method}; allowed: {listed(params.methods, a.method)}")
    folder = trained({"dataset": a.dataset, "method": a.method, "seed": str(a.seed)})
    classifier = load_classifier(f"{folder}/classifier.safetensors", "cpu").requires_grad_(True).train()
    data, training = store.load(data_path(a.dataset)), params.training_for(a.dataset, a.method)
    generator = _generator(f"{folder}/generator.safetensors", data.shape[0])
    rate = training.schedule.peak if a.rate is None else a.rate
    train = data.split("train")
    if len(train) < 2 * a.batch:
        raise ParamsError(f"--batch: found {a.batch}; allowed: at most {len(train) // 2}, half of the training images")
    lines = []
    for norm, attack in training_attacks(training, params.radii_for(training.profile, a.dataset)).items():
        each = []
        for k in range(a.batches):
            step = Step(k, rate, a.seed, "cpu")
            each.append(probes(classifier, generator, two_batches(train, a.batch, step), attack, step, a.steps))
        print(f"{norm}: {a.batches} batches", file=sys.stderr, flush=True)
        lines += [_line(norm, name, each) for name in VIEWS if name in each[0]]
    return lines


def _generator(path: str, channels: int) -> NoiseGenerator | None:
    """The generator of a file; None where the method has none."""
    weights, _ = tensors.read(path)
    if not weights:
        return None
    generator = NoiseGenerator(channels, input_dependent=weights["conv_2d_1.weight"].shape[1] == 2 * channels)
    generator.load_state_dict(weights)
    return generator


def _line(norm: str, view: str, each: Sequence[Mapping[str, Probe]]) -> dict[str, str]:
    here, gaussian = [probed[view] for probed in each], [probed[GAUSSIAN] for probed in each]

    def over(name: str) -> str:
        centre, low, _, _ = paired_t([getattr(h, name) - getattr(g, name) for h, g in zip(here, gaussian, strict=True)])
        return f"{centre:+.5f} ±{centre - (low if low is not None else centre):.5f}"

    relative = mean(h.length / g.length for h, g in zip(here, gaussian, strict=True))
    return {
        "norm": norm,
        "view": view,
        "loss": f"{mean(h.same for h in here):.4f}",
        "over gaussian": "" if view == GAUSSIAN else over("same"),
        "other batch, over gaussian": "" if view == GAUSSIAN else over("other"),
        "length / gaussian": "" if view == NO_STEP else f"{relative:.2f}",
        "cosine": "" if view == NO_STEP else f"{mean(h.cosine for h in here):.3f}",
    }


def main(argv: list[str] | None = None) -> int:
    """Prints the table; 2 where the user can mend what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generator", description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument(
        "--method", default="mng_ac", help="whose training of the seed is there: trained/<data set>/..."
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batches", type=int, default=24, help="in each norm, at least two")
    parser.add_argument("--batch", type=int, default=64, help="images in one")
    parser.add_argument("--rate", type=float, help="of the virtual step (default: the schedule's peak)")
    parser.add_argument("--steps", type=int, default=8, help="by which noise is optimised")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)

    def run() -> None:
        if arguments.batches < 2:
            raise ParamsError(f"--batches: found {arguments.batches}; allowed: two or more")
        print(tabulate(rows(load(), arguments), headers="keys", tablefmt="github", disable_numparse=True))

    return status_of(run)


if __name__ == "__main__":
    sys.exit(main())
