"""Shapes, where a signature is read for them. Tests check them at run time (tests/conftest.py); nothing else does."""

from jaxtyping import Float, Int
from torch import Tensor

Images = Float[Tensor, "batch channels height width"]
"""Images in [0, 1], or perturbations of them."""
Labels = Int[Tensor, " batch"]
"""Class numbers."""
Logits = Float[Tensor, "batch classes"]
"""What a classifier returns."""
PerImage = Float[Tensor, " batch"]
"""A number an image."""
Scalar = Float[Tensor, ""]
