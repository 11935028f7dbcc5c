"""Networks as lists of layers, without torch: the operations of a pass, weights and activations of an image.

One function a family of mngac/models; tests hold each to torch's own count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mngac.params.registry import find

GENERATOR_WIDTH = 20
"""Channels inside the noise generator."""


@dataclass
class Network:
    """What a network does to one image, built layer by layer."""

    convolutions: list[int] = field(default_factory=list)
    """Operations of each, in order: two a multiplication."""
    linear: int = 0
    """Operations of the last layer, a matrix product."""
    weights: int = 0
    """Numbers that are learned."""
    statistics: int = 0
    """Numbers that batch norms keep beside them."""
    activations: int = 0
    """Numbers that the convolutions give out."""

    @property
    def forward(self) -> int:
        """Operations of a forward pass."""
        return sum(self.convolutions) + self.linear

    @property
    def first(self) -> int:
        """Of them, the first layer's: what a backward pass to the weights alone leaves out."""
        return self.convolutions[0]

    def convolve(self, inputs: int, outputs: int, kernel: int, size: int, *, bias: bool = False) -> None:
        """A convolution whose output has `size` x `size` places."""
        self.convolutions.append(2 * inputs * outputs * kernel**2 * size**2)
        self.weights += inputs * outputs * kernel**2 + (outputs if bias else 0)
        self.activations += outputs * size**2

    def normalise(self, channels: int) -> None:
        """A batch norm: two weights and two statistics a channel, and how many batches it saw."""
        self.weights += 2 * channels
        self.statistics += 2 * channels + 1

    def classify(self, inputs: int, classes: int) -> None:
        """The last layer."""
        self.linear = 2 * inputs * classes
        self.weights += (inputs + 1) * classes


def _halved(size: int) -> int:
    """Places on a side after a stride of two."""
    return (size + 1) // 2


def _basic_block(net: Network, inputs: int, outputs: int, size: int, *, shortcut: bool) -> None:
    """Two 3x3 convolutions, each after a batch norm; a 1x1 shortcut where wanted. `size` is that of its output."""
    net.normalise(inputs)
    net.convolve(inputs, outputs, 3, size)
    net.normalise(outputs)
    net.convolve(outputs, outputs, 3, size)
    if shortcut:
        net.convolve(inputs, outputs, 1, size)


def _preactivated(first: int, widths: tuple[int, ...], blocks: int, classes: int, channels: int, size: int) -> Network:
    """A convolution, stages of basic blocks, each but the first of half the size, a batch norm and the last layer."""
    net, inputs = Network(), first
    net.convolve(channels, inputs, 3, size)
    for stage, outputs in enumerate(widths):
        size = _halved(size) if stage else size
        for _ in range(blocks):
            _basic_block(net, inputs, outputs, size, shortcut=inputs != outputs)
            inputs = outputs
    net.normalise(inputs)
    net.classify(inputs, classes)
    return net


def _wide_resnet(name: str, classes: int, channels: int, size: int) -> Network:
    depth, width = map(int, name.split("_")[1:3])
    return _preactivated(16, (16 * width, 32 * width, 64 * width), (depth - 4) // 6, classes, channels, size)


def _preact_resnet(name: str, classes: int, channels: int, size: int) -> Network:
    return _preactivated(64, (64, 128, 256, 512), 2, classes, channels, size)


def _resnet_50(name: str, classes: int, channels: int, size: int) -> Network:
    net, inputs = Network(), 64
    net.convolve(channels, inputs, 3, size)
    net.normalise(inputs)
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for block in range(blocks):
            before, size = size, _halved(size) if stage and not block else size
            bottleneck = ((inputs, width, 1, before), (width, width, 3, size), (width, 4 * width, 1, size))
            for given, made, kernel, at in bottleneck:
                net.convolve(given, made, kernel, at)
                net.normalise(made)
            if not block:
                net.convolve(inputs, 4 * width, 1, size)
                net.normalise(4 * width)
            inputs = 4 * width
    net.classify(inputs, classes)
    return net


def _authors_resnet(name: str, classes: int, channels: int, size: int) -> Network:
    net, inputs = Network(), 64
    net.convolve(channels, inputs, 3, size)
    net.normalise(inputs)
    for stage, outputs in enumerate((64, 128, 256, 512)):
        size = _halved(size) if stage else size
        for block in range(2):
            for given in (inputs, outputs):
                net.convolve(given, outputs, 3, size)
                net.normalise(outputs)
            if stage and not block:
                net.convolve(inputs, outputs, 1, size)
            inputs = outputs
    net.classify(2048, classes)
    return net


FAMILIES: dict[str, Callable[[str, int, int, int], Network]] = {
    "wide_resnet": _wide_resnet,
    "preact_resnet": _preact_resnet,
    "resnet": _resnet_50,
    "authors_resnet": _authors_resnet,
}
"""By file of mngac/models."""


def network(model: str, classes: int, channels: int, size: int) -> Network | None:
    """A model's network for images (channels, size, size); None for a model that nothing is known of: one's own."""
    found = find("models", model)
    family = None if found.own else FAMILIES.get(found.module.rpartition(".")[2])
    return family(model, classes, channels, size) if family else None


def noise_generator(channels: int, size: int, input_dependent: bool) -> Network:
    """MNG-AC's noise generator; z is two pixels larger than the image."""
    net, seen = Network(), channels * (2 if input_dependent else 1)
    net.convolve(seen, GENERATOR_WIDTH, 1, size + 2, bias=True)
    net.convolve(GENERATOR_WIDTH, GENERATOR_WIDTH, 3, size, bias=True)
    net.convolve(GENERATOR_WIDTH, GENERATOR_WIDTH, 1, size, bias=True)
    net.convolve(GENERATOR_WIDTH, channels, 1, size, bias=True)
    return net
