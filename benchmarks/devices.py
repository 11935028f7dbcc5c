"""Whether devices and precisions agree: one step of each method from the same weights, images and random draws.

Draws are made on the host for every device. The reference is the CPU in float32 (in float64 for float64). Signs of
small gradients differ with rounding, so in float32 attacks agree closely, not exactly; bfloat16 is held against what
other draws of the attack's start change: its loss may differ by three standard deviations of that and 2 %, its gradient
as much as another draw's (a cosine of 0.9, or less where theirs is).
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from torch.overrides import TorchFunctionMode

from benchmarks import settings
from benchmarks.settings import Settings
from benchmarks.sides import RATE
from mngac.methods.base import Batch, Step

METHODS = [
    *("nat", "adv_linf", "adv_l1", "adv_l2", "trades_linf", "adv_avg", "adv_max", "msd", "sat", "sat_ac"),
    *("sat_ac_noise", "eat", "mng_ac"),
]
OTHER_DRAWS = 4
BOUNDS = {"float64": (1e-6, 1 - 1e-6), "float32": (5e-3, 0.99)}
"""Of the loss, relative; of the cosine of the weights' gradients, from below."""
DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.float32}
"""Of weights and images; bfloat16 is autocast."""


class HostDraws(TorchFunctionMode):
    """Random numbers of a generator come from the CPU, whatever device they are wanted on."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Draws on the CPU, then copies."""
        kwargs = dict(kwargs or {})
        if kwargs.get("generator") is None:
            return func(*args, **kwargs)
        if func is Tensor.exponential_:
            return args[0].copy_(torch.empty(args[0].shape, dtype=args[0].dtype).exponential_(**kwargs))
        device = kwargs.pop("device", None) or "cpu"
        return func(*args, **kwargs).to(device)


class HostStep(Step):
    """A step whose streams all lie on the CPU."""

    def stream(self, name: str) -> torch.Generator:
        """The named random stream."""
        return self.host_stream(name)


@dataclass(frozen=True)
class Answer:
    """What a step gave, on the CPU in float64: loss, gradients of the classifier, and of the noise generator."""

    loss: float
    gradients: Tensor
    generator: Tensor


def answer(
    chosen: Settings, method: str, norms: list[str] | None, device: str, precision: str, number: int = 0
) -> Answer:
    """One step of a method on a device: forward, attack, backward."""
    trainer = replace(chosen, device=device).trainer(method, norms)
    host = chosen.trainer(method, norms).batch(0) if device != "cpu" else trainer.batch(0)
    batch = Batch(host.x.to(device, DTYPES[precision]), host.y.to(device))
    trainer.classifier.train().to(DTYPES[precision])
    generator = getattr(trainer.method, "generator", None)
    if generator is not None:
        generator.to(DTYPES[precision])
    step = HostStep(number, RATE, trainer.seed, device)
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        with HostDraws(), torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            loss = trainer.method.loss(trainer.classifier, batch, step)
        loss.backward()
    learned = flat([w.grad for w in generator.parameters()]) if generator is not None else torch.zeros(1)
    return Answer(loss.item(), flat([w.grad for w in trainer.classifier.parameters()]), learned)


def flat(tensors: list[Any]) -> Tensor:
    """All numbers in one row."""
    return torch.cat([t.detach().double().cpu().flatten() for t in tensors])


def cosine(first: Answer, second: Answer) -> float:
    """Of the classifier's gradients."""
    return cosine_similarity(first.gradients, second.gradients, dim=0).item()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the benchmark."""
    settings.add_options(parser)
    parser.add_argument("--methods", nargs="+", default=METHODS, metavar="METHOD")


def rows(a: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row a method, norm and precision of the device; `--device cpu` compares the CPU's own precisions."""
    torch.set_num_threads(a.threads)
    chosen = replace(settings.settings_of(a), device="cpu", precision="float32")
    for method in a.methods:
        for norms in chosen.kinds(method):
            yield from compared(chosen, method, norms, a.device)


def compared(chosen: Settings, method: str, norms: list[str] | None, device: str) -> Iterator[dict[str, Any]]:
    """The rows of one kind of step."""
    reference = answer(chosen, method, norms, "cpu", "float32")
    others = [answer(chosen, method, norms, "cpu", "float32", number) for number in range(1, OTHER_DRAWS + 1)]
    noise = statistics.stdev([reference.loss, *(other.loss for other in others)]) / reference.loss
    draws = statistics.median(cosine(reference, other) for other in others)
    who = {"method": method, "norm": norms[0] if norms else ""}
    precisions = ("float64", "float32", "bfloat16") if device != "cpu" else ("float64", "bfloat16")
    for precision in precisions:
        found = answer(chosen, method, norms, device, precision)
        # On a card float64 is held against the CPU's float64; without one there is nothing but the CPU's float32.
        as_exact = precision == "float64" and device != "cpu"
        held = answer(chosen, method, norms, "cpu", "float64") if as_exact else reference
        gap, same = abs(found.loss - held.loss) / held.loss, cosine(found, held)
        bound = BOUNDS["float64"] if as_exact else BOUNDS["float32"]
        if precision == "bfloat16":
            bound = (3 * noise + 0.02, min(draws - 0.02, 0.9))
        yield {
            **who,
            "compared": f"{device} {precision} with cpu {'float64' if as_exact else 'float32'}",
            "loss": round(found.loss, 6),
            "loss_gap": float(f"{gap:.3g}"),
            "loss_bound": float(f"{bound[0]:.3g}"),
            "gradients_cosine": round(same, 6),
            "cosine_bound": round(bound[1], 6),
            "generator_gap": float(f"{(found.generator - held.generator).norm() / held.generator.norm():.3g}")
            if held.generator.norm()
            else None,
            "within": gap <= bound[0] and same >= bound[1],
        }
