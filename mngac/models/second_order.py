"""Convolution and batch norm whose second derivatives cost what they must.

torch composes the double backward of batch norm of some thirty operations, and that of a convolution of transposed
copies. Written down, batch norm's is one backward pass and a sum of images with a factor a channel; a convolution's is
three convolutions. Within the block `MixedProducts()` both are used wherever a model calls the plain ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

aten = torch.ops.aten


def _per_channel(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like.dtype).view(1, -1, 1, 1)


class Convolution(Function):
    """F.conv2d of x (batch, inputs, h, w) with a weight, without bias."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, geometry: tuple[Any, ...], mode: MixedProducts) -> Tensor:
        """The convolution; geometry is (stride, padding, dilation, groups)."""
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.mode = geometry, mode
        return torch.conv2d(x, weight, None, *geometry)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients to x and weight, which can be differentiated again."""
        x, weight = ctx.saved_tensors
        if ctx.mode.to_weights:
            return *ConvolutionGradients.apply(grad, x, weight, ctx.geometry, ctx.needs_input_grad[0]), None, None
        return _backward(grad, x, weight, ctx.geometry, to_x=True)[0], None, None, None


class ConvolutionGradients(Function):
    """The gradients of a convolution to x and to its weight, as functions of the output's gradient and of x."""

    @staticmethod
    def forward(
        ctx: Any, grad: Tensor, x: Tensor, weight: Tensor, geometry: tuple[Any, ...], to_x: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """Both gradients; None for x where nothing before it wants one."""
        ctx.save_for_backward(grad, x, weight)
        ctx.geometry, ctx.to_x = geometry, to_x
        ctx.set_materialize_grads(False)
        return _backward(grad, x, weight, geometry, to_x=to_x, to_weight=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, for_x: Tensor | None, for_weight: Tensor | None) -> tuple[Tensor | None, ...]:
        """What a change of the gradients to x and weight comes from: to the output's gradient, and to x."""
        grad, x, weight = ctx.saved_tensors
        parts = [(for_x, weight), (x, for_weight)]
        seen = [torch.conv2d(a, b, None, *ctx.geometry) for a, b in parts if a is not None and b is not None]
        to_grad = sum(seen[1:], start=seen[0]) if seen else None
        to_x = None
        if for_weight is not None and ctx.to_x:
            to_x = _backward(grad, x, for_weight, ctx.geometry, to_x=True)[0]
        return to_grad, to_x, None, None, None


def _backward(
    grad: Tensor, x: Tensor, weight: Tensor, geometry: tuple[Any, ...], *, to_x: bool, to_weight: bool = False
) -> tuple[Tensor | None, Tensor | None]:
    stride, padding, dilation, groups = geometry
    mask = [to_x, to_weight, False]
    found = aten.convolution_backward(grad, x, weight, None, stride, padding, dilation, False, [0, 0], groups, mask)
    return found[0], found[1]


class BatchNorm(Function):
    """F.batch_norm with the batch's own statistics."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, mode: MixedProducts) -> Tensor:
        """Normalised images: (batch, channels, h, w)."""
        out, mean, scale = aten.native_batch_norm(x, weight, bias, None, None, True, 0.0, eps)
        ctx.save_for_backward(x, weight, mean, scale)
        ctx.eps, ctx.mode = eps, mode
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients to x, weight and bias, which can be differentiated again."""
        x, weight, mean, scale = ctx.saved_tensors
        if ctx.mode.to_weights:
            return *BatchNormGradients.apply(grad, x, weight, mean, scale, ctx.eps), None, None
        return _normed_backward(grad, x, weight, mean, scale, ctx.eps, [True, False, False])[0], None, None, None, None


class BatchNormGradients(Function):
    """The gradients of batch norm to x, weight and bias, as functions of the output's gradient and of x."""

    @staticmethod
    def forward(
        ctx: Any, grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, scale: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The three gradients; mean and scale (1 / standard deviation) are x's own, and move with it."""
        to_x, to_weight, to_bias = _normed_backward(grad, x, weight, mean, scale, eps, [True, True, True])
        ctx.save_for_backward(grad, x, weight, mean, scale, to_weight, to_bias)
        ctx.eps = eps
        return to_x, to_weight, to_bias

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor | None, ...]:
        """With S = <a, to_x> + <b, to_weight> + <c, to_bias>: dS/dgrad and dS/dx.

        With g the output's gradient, z the normalised images, r the scale, w the weight, m images times places:
        to_x = w r (g - mean(g) - z mean(g z)), to_weight = sum(g z), to_bias = sum(g).
        """
        g, x, weight, mean, scale, gz, g_sum = ctx.saved_tensors
        m = x.numel() / x.shape[1]
        # dS/dg is the same pass for a, plus b z + c; it also gives the sums of a and of a z over each channel.
        to_grad, az, a_sum = _normed_backward(a, x, weight, mean, scale, ctx.eps, [True, True, True])
        bias = c - b * scale * mean
        to_grad = torch.addcmul(to_grad + _per_channel(bias, x), x, _per_channel(b * scale, x))
        # dS/dx is a sum of a, g and z with a factor a channel each: r falls by r^2 z / m where x rises, and z rises by
        # r (1 - 1 / m - z z / m).
        wide = torch.float64 if x.dtype == torch.float64 else torch.float32
        ag = (a * g).sum((0, 2, 3), dtype=wide)
        shared = weight * scale**2 / m
        of_a = -shared * gz
        of_g = -shared * az + b * scale
        of_z = -shared * (ag - a_sum * g_sum / m - 3 * az * gz / m) - b * scale * gz / m
        rest = shared * (a_sum * gz + az * g_sum) / m - b * scale * g_sum / m - of_z * scale * mean
        to_x = torch.addcmul(_per_channel(rest, x), x, _per_channel(of_z * scale, x))
        to_x = to_x.addcmul_(a, _per_channel(of_a, x)).addcmul_(g, _per_channel(of_g, x))
        return to_grad, to_x, None, None, None, None


def _normed_backward(
    grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, scale: Tensor, eps: float, mask: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    return aten.native_batch_norm_backward(grad, x, weight, None, None, mean, scale, True, eps, mask)


class MixedProducts(TorchFunctionMode):
    """Puts the two above in place of `conv2d` without bias and of `batch_norm` on a batch's own statistics.

    What else a model calls is differentiated twice by torch. Weights get gradients of first order, and none of second.
    """

    def __init__(self) -> None:
        super().__init__()
        self.to_weights = True
        """Whether a backward pass is asked for gradients to weights: a Function is told only whether there could be."""

    def gradient(self, gradients: Sequence[Tensor], toward: Sequence[Tensor], x: Tensor) -> Tensor:
        """grad_x <gradients, toward>, for gradients to weights that were made with `create_graph`."""
        self.to_weights = False
        return torch.autograd.grad(gradients, x, toward)[0]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs a function of torch, or ours in its place."""
        ours = {torch.conv2d: self._convolution, F.batch_norm: self._batch_norm}.get(func, func)
        return ours(*args, **(kwargs or {}))

    def _convolution(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        if bias is not None or isinstance(padding, str):
            return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)
        geometry = tuple((v, v) if isinstance(v, int) else tuple(v) for v in (stride, padding, dilation))
        kind = x.device.type
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
            x, weight = (t.to(torch.get_autocast_dtype(kind)) for t in (x, weight))
        return Convolution.apply(x, weight, (*geometry, groups), self)

    def _batch_norm(
        self,
        input: Tensor,
        running_mean: Any,
        running_var: Any,
        weight: Any = None,
        bias: Any = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if not training or running_mean is not None or weight is None or input.dim() != 4:
            return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
        return BatchNorm.apply(input, weight, bias, eps, self)
