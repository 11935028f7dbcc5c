"""Lower bounds of margins from auto_LiRPA's own environment: a request in a folder, a process, and what it leaves."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mngac import tensors
from mngac.certificates.lirpa import ANSWER, REQUEST
from mngac.params.errors import UserError, cut
from mngac.pipeline.fingerprint import ROOT

NAMED = "MNGAC_CERTIFY_PYTHON"
"""The variable that may name another interpreter than the one that `make certify` makes."""


@dataclass(frozen=True)
class Ball:
    """A norm, and a radius on images in [0, 1]."""

    norm: str
    radius: float


@dataclass(frozen=True)
class Found:
    """Of one ball: the least lower bound of each image's margins, float32 (n,), and how far float64 is from one."""

    lower: Tensor
    rounding: float


def interpreter() -> Path:
    """The Python that has auto_LiRPA.

    Raises:
        UserError: where it is missing.
    """
    path = Path(os.environ.get(NAMED) or ROOT / ".venv-certify/bin/python")
    if not path.exists():
        raise UserError(f"{path}: not found; allowed: the Python that has auto_LiRPA: make certify, or {NAMED}=PATH")
    return path


def bounds(
    folder: Path, images: Tensor, labels: Tensor, ask: Tensor, balls: Sequence[Ball], **about: Any
) -> list[Found]:
    """Asks for the margins' lower bounds in some balls; goes on where it was stopped.

    Args:
        folder: for the request and what comes of it.
        images: in [0, 1] (n, channels, height, width).
        labels: int64 (n,).
        ask: bool (n,): the images that are asked about.
        balls: those of a norm with rising radii; an image is asked about one only if the smaller ones certify it.
        about: further facts of the request: mngac/certificates/lirpa.py.

    Raises:
        UserError: where the interpreter is missing, or what it ran has failed.
    """
    python = interpreter()
    (folder / REQUEST).parent.mkdir(parents=True, exist_ok=True)
    pairs = [[ball.norm, ball.radius] for ball in balls]
    content = {"images": images, "labels": labels, "ask": ask}
    tensors.write(folder / REQUEST, content, balls=pairs, **about)
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [str(python), "-m", "mngac.certificates.lirpa", str(folder)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
        raise UserError(f"{python}: auto_LiRPA gave no bounds of {about['classifier']}: {cut(said, 160)}")
    found = [tensors.read(folder / ANSWER.format(k)) for k in range(len(balls))]
    return [Found(content["lower"], facts["rounding"]) for content, facts in found]
