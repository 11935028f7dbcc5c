"""The bounds themselves, by auto_LiRPA, in the environment that has it: `python -m mngac.certificates.lirpa FOLDER`.

auto_LiRPA 0.3 (Xu et al. 2020, arXiv 2002.12920), the newest release, asks for torch before 1.13, of which there is no
build for Python 3.11. What it takes from torch's and numpy's insides has moved since; `_library` puts it back where it
looks, in this process alone. That the network was understood is checked by its logits, and the bounds by what is known
in closed form and by brute force (tests/certificates).
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.metadata
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mngac import tensors
from mngac.models.layout import lay_out
from mngac.models.opened import open_classifier
from mngac.params.errors import UserError

VERSION = "0.3"
"""Of auto_LiRPA: a part of the key as this file is."""
METHODS = {"crown": "CROWN", "crown_ibp": "CROWN-IBP"}
REQUEST, ANSWER = "request/certify.safetensors", "ball-{}.safetensors"
"""Files of a folder that a request stands in; what is found lies beside the folder of the request."""
ORDERS = {"linf": float("inf"), "l1": 1, "l2": 2}


def main(folder: Path) -> None:
    """Bounds of all balls of a request, each kept when it is known.

    Args:
        folder: with `REQUEST`: `images` in [0, 1] (n, channels, height, width), `labels` (n,), `ask` bool (n,), and the
            facts classifier, model, classes, method, threads, batch_size, balls [[norm, radius], ...], those of a norm
            with rising radii, and slack, which a lower bound must exceed to certify. Gets an `ANSWER` a ball, by its
            number: `lower`, the least lower bound of the margins between the label and any other class, float32 (n,),
            -inf where nothing was asked; and the fact rounding, by how much the least of those above slack differs
            from the same in float64.
    """
    content, about = tensors.read(folder / REQUEST)
    torch.set_num_threads(about["threads"])
    x, y = content["images"], content["labels"]
    classifier = open_classifier(about["classifier"], about["model"], about["classes"], tuple(x.shape[1:]))
    single, double = (Bounds(classifier, x[:1], about["method"], dtype) for dtype in (torch.float32, torch.float64))
    ask: dict[str, Tensor] = {}
    for k, (norm, radius) in enumerate(about["balls"]):
        path = folder / ANSWER.format(k)
        if not path.exists():
            lower = torch.full((len(x),), -torch.inf)
            for part in ask.get(norm, content["ask"]).nonzero().flatten().split(about["batch_size"]):
                lower[part] = single.margins(x[part], y[part], norm, radius)
            least = lower.where(lower > about["slack"], torch.inf).argmin()[None]
            rounding = 0.0
            if lower[least] > about["slack"]:
                rounding = (double.margins(x[least], y[least], norm, radius) - lower[least]).abs().item()
            tensors.write(path, {"lower": lower}, rounding=rounding)
        ask[norm] = tensors.read(path)[0]["lower"] > about["slack"]


class Bounds:
    """Bounds of a classifier's margins in one precision.

    Args:
        classifier: in eval mode; stays as it is.
        x: an image (1, channels, height, width).
        method: one of `METHODS`.
        dtype: of the arithmetic.
    """

    def __init__(self, classifier: nn.Module, x: Tensor, method: str, dtype: torch.dtype):
        self.method, self.dtype = METHODS[method], dtype
        copied = copy.deepcopy(classifier).to(dtype)
        copied._forward_pre_hooks.clear()  # they look at shapes, which a trace would keep
        lay_out(copied, "contiguous")
        x = x.to(dtype)
        with _default(dtype):
            options = {"conv_mode": "matrix", "sparse_intermediate_bounds": False}
            self.network = _library()(copied, x, device="cpu", bound_opts=options)
            logits, others = classifier(x.float()), self.network(x)
        self.classes = logits.shape[1]
        if not torch.allclose(logits.to(dtype), others, rtol=1e-4, atol=1e-4 * logits.abs().max().item()):
            raise UserError("auto_LiRPA reads another network than the classifier: its logits differ")

    @torch.no_grad()
    def margins(self, x: Tensor, y: Tensor, norm: str, radius: float) -> Tensor:
        """Lower bounds of the least margin in each image's ball.

        Args:
            x: images (batch, channels, height, width) in [0, 1].
            y: labels (batch,).
            norm: of the ball. Where it is l_inf, pixels stay in [0, 1]; a ball of l_1 or l_2 is taken as a whole, which
                is more than attacks may use, and so sound.
            radius: of the ball.

        Returns:
            (batch,), in the arithmetic's type.
        """
        from auto_LiRPA import BoundedTensor, PerturbationLpNorm

        x = x.to(self.dtype)
        box = {"x_L": (x - radius).clamp(0, 1), "x_U": (x + radius).clamp(0, 1)} if norm == "linf" else {}
        with _default(self.dtype), warnings.catch_warnings(), np.errstate(divide="ignore"):
            warnings.simplefilter("ignore")
            ball = PerturbationLpNorm(eps=radius, norm=ORDERS[norm], **box)
            lower, _ = self.network.compute_bounds(
                x=(BoundedTensor(x, ball),), C=self._differences(y), method=self.method, bound_upper=False
            )
        return lower.amin(1)

    def _differences(self, y: Tensor) -> Tensor:
        """Logits -> margins of the label over each other class: (batch, classes - 1, classes)."""
        one_hot = torch.eye(self.classes, dtype=self.dtype)
        others = torch.stack([torch.tensor([c for c in range(self.classes) if c != label]) for label in y.tolist()])
        return one_hot[y][:, None] - one_hot[others]


@contextlib.contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    """Within the block new tensors are of this type: auto_LiRPA makes some without saying of which."""
    was = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(was)


def _library() -> Any:
    """auto_LiRPA's BoundedModule, with what it looks for in places that torch and numpy have left.

    Raises:
        UserError: where it is missing, or of another version.
    """
    try:
        found = importlib.metadata.version("auto-LiRPA")
    except importlib.metadata.PackageNotFoundError:
        found = "no auto_LiRPA"
    if found != VERSION:
        raise UserError(f"{sys.executable}: found {found}; allowed: auto_LiRPA {VERSION}; make certify")
    from torch.onnx._internal.torchscript_exporter._globals import GLOBALS

    moved = types.ModuleType("numpy.lib.arraysetops")
    vars(moved)["isin"] = np.isin
    sys.modules.setdefault(moved.__name__, moved)
    opset = "export_onnx_opset_version"
    vars(importlib.import_module("torch.onnx.symbolic_helper"))["_set_opset_version"] = lambda version: setattr(
        GLOBALS, opset, version
    )
    torch._C.Node.__getitem__ = lambda node, key: getattr(node, node.kindOf(key))(key)  # type: ignore[method-assign]
    from auto_LiRPA import BoundedModule

    class Bounded(BoundedModule):
        def _named_members(self, *arguments: Any, remove_duplicate: bool = True, **further: Any) -> Any:
            return super()._named_members(*arguments, **further)

    return Bounded


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    try:
        main(Path(sys.argv[1]))
    except UserError as error:
        sys.exit(str(error))
