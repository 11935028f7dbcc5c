"""The Meta-Noise Generator g_phi(x, z) of MNG-AC (Madaan et al. 2021), with the layer names of the authors' code."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mngac.shapes import Images

WIDTH = 20


class NoiseGenerator(nn.Module):
    """1x1, 3x3, 1x1, 1x1 convolutions, LeakyReLU between them, plus the centre of z as a residual.

    Args:
        channels: of the image.
        input_dependent: the image, zero-padded by one pixel, is concatenated with z (the paper); otherwise z alone is
            seen (the authors' code).
    """

    def __init__(self, channels: int, input_dependent: bool = True):
        super().__init__()
        self.input_dependent = input_dependent
        self.conv_2d_1 = nn.Conv2d(channels * (2 if input_dependent else 1), WIDTH, 1)
        self.conv_2d_2 = nn.Conv2d(WIDTH, WIDTH, 3)
        self.conv_2d_3 = nn.Conv2d(WIDTH, WIDTH, 1)
        self.conv_2d_4 = nn.Conv2d(WIDTH, channels, 1)
        for layer in (self.conv_2d_1, self.conv_2d_2, self.conv_2d_3, self.conv_2d_4):
            nn.init.normal_(layer.weight, 0, (2 / (layer.kernel_size[0] ** 2 * layer.out_channels)) ** 0.5)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def draw(self, x: Images, generator: torch.Generator) -> Tensor:
        """z, standard normal, two pixels larger than x since the 3x3 convolution has no padding."""
        batch, channels, height, width = x.shape
        return torch.randn(batch, channels, height + 2, width + 2, device=x.device, generator=generator)

    def forward(self, x: Images, z: Tensor) -> Images:
        """Images (b, c, h, w) and noise (b, c, h + 2, w + 2) -> noise (b, c, h, w), not yet in a ball."""
        seen = torch.cat([F.pad(x, (1, 1, 1, 1)), z], 1) if self.input_dependent else z
        out = F.leaky_relu(self.conv_2d_1(seen))
        out = F.leaky_relu(self.conv_2d_2(out))
        out = F.leaky_relu(self.conv_2d_3(out))
        return self.conv_2d_4(out) + z[:, :, 1:-1, 1:-1]
