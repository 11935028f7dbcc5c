"""The stage `certify`: a classifier's file -> the images that are certified, and those that attacks left, ball by ball.

A certified image is classified correctly, by the classifier that is attacked, at every point of the ball: its clean
prediction is right, and each margin of its label has a lower bound above a slack. Bounds hold for the network of the
stored float32 weights in exact arithmetic. Two roundings stand between that and what is attacked, neither bounded by
proof: the classifier's own float32, and that of the bounds. Both are measured against float64 in each job, on the
images, and on the certified image of each ball whose bound is least; the slack is `SLACK` of the largest logit, and a
measured difference above a tenth of it ends the job.
"""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mngac.certificates.bounds import Ball, Found, bounds
from mngac.evaluation import evaluate
from mngac.evaluation.acceptance import TOLERANCE, is_correct
from mngac.evaluation.loop import Evaluation
from mngac.evaluation.reproducible import reproducible
from mngac.evaluation.subject import Subject, subject
from mngac.params.certificates import CertificateConfig
from mngac.params.errors import UserError
from mngac.params.sections import Radii
from mngac.params.types import number
from mngac.pipeline.atomic import write_text
from mngac.pipeline.cache import key_of
from mngac.pipeline.jobs import Context
from mngac.pipeline.provenance import provenance
from mngac.results.certificates import SCHEMA, BallRecord, Certificates, contradiction

BOUNDS = "mngac.certificates.lirpa"
"""What runs in auto_LiRPA's environment."""
SLACK = 1e-3
"""Share of the largest logit that a margin's lower bound must exceed."""
MEASURED = 0.1
"""Share of the slack that a measured rounding may take."""
ROOM = 2 * TOLERANCE
"""Share of the radius by which the certified ball is larger: more than an accepted perturbation may exceed it."""
LEAST = 3e-4
"""The least radius in l_inf. There a ball is given by the sides x - r and x + r of a box in [0, 1], which float32
rounds by up to 2^-25. What `ROOM` leaves beyond an accepted perturbation, 1e-4 r, is more only from 2.99e-4 on; a
smaller box might not hold all accepted perturbations. Balls of l_1 and l_2 have no sides that are rounded.
"""


def run(context: Context) -> None:
    """Writes what is certified and what is broken.

    Raises:
        UserError: for a radius below `LEAST`, where auto_LiRPA or its environment is missing or fails, where rounding
            is larger than the slack allows, or where an image is certified and broken, which is a bug.
    """
    started, w = time.monotonic(), context.job.wildcards
    config = context.job.params.certificates[w["certificate"]]
    given = _subject(context, config)
    _check_radii(f"certificates.{w['certificate']}", config, given.radii)
    logits, rounding = _logits(given.classifier, _images(given, context.device))
    slack = SLACK * logits.abs().max().item()
    found = _bounds(context, config, given, logits, slack)
    bounded = time.monotonic()
    rounding = max(rounding, *(each.rounding for each in found))
    if not rounding <= MEASURED * slack:
        raise UserError(
            f"{context.log.name}: found float32 and float64 apart by {rounding:.2g}; allowed: {MEASURED * slack:.2g}, "
            "a tenth of the slack of certificates; nothing is certified"
        )
    attacked = [_attacked(context, config, given, factor) for factor in config.factors]
    balls = [
        ball
        for k, done in enumerate(attacked)
        for ball in _balls(context, config, given, k, done, found[k :: len(config.factors)], slack)
    ]
    made = Certificates(
        schema_=SCHEMA,
        dataset=w["dataset"],
        split=context.job.params.run.split,
        method=w["method"],
        seed=int(w["seed"]),
        certificate=w["certificate"],
        profile=w["profile"],
        bounds=config.method,
        suite=context.job.params.run.suites[0],
        n=len(given.labels),
        indices=given.index,
        clean=_bits(is_correct(logits, given.labels)),
        balls=balls,
        slack=slack,
        rounding=rounding,
        flags=list(dict.fromkeys(flag for done in attacked for flag in done.flags)),
        timing={"bounds": round(bounded - started, 3), "attacks": round(time.monotonic() - bounded, 3)},
        provenance=_provenance(context, given),
    )
    write_text(context.outputs["certificates"], made.to_json())


def _check_radii(path: str, config: CertificateConfig, radii: Radii) -> None:
    for i, factor in enumerate(config.factors if "linf" in config.norms else []):
        radius = _radius(radii, "linf", factor)
        if radius < LEAST:
            raise UserError(
                f"{path}.factors.{i}: found {factor}, a radius of {radius:g} in linf; allowed: at least {LEAST:g}, "
                "below which float32 rounds the ball's sides by more than its room"
            )


def _provenance(context: Context, given: Subject) -> dict[str, Any]:
    """A record's, whose `code` is of the attacks, and of what bounds margins, too."""
    about = provenance(context.key, context.key_parts, context.device, given.suite)
    code = {"attacks": about["code"], BOUNDS: context.key_parts["code"][BOUNDS]}
    return {**about, "held_out": given.held_out, "code": key_of(code)}


def _subject(context: Context, config: CertificateConfig) -> Subject:
    """What is certified, and attacked with the run's first suite: the images that the entry asks about."""
    params, w = context.job.params, context.job.wildcards
    name = params.run.suites[0]
    suites = {**params.evaluation, name: params.evaluation[name].model_copy(update={"n": config.n})}
    params = params.model_copy(update={"evaluation": suites})
    return subject(replace(context.job, wildcards={**w, "suite": name}, params=params), context.device)


def _images(given: Subject, device: str) -> Tensor:
    return given.images.to(device).float() / 255


@torch.no_grad()
def _logits(classifier: nn.Module, x: Tensor) -> tuple[Tensor, float]:
    """The classifier's logits (n, classes) on the CPU, and the largest difference to those of float64."""
    exact = copy.deepcopy(classifier).double()
    with reproducible(tensor_float32=False):
        logits = torch.cat([classifier(part) for part in x.split(256)])
        others = torch.cat([exact(part.double()) for part in x.split(256)])
    return logits.cpu(), (others - logits).abs().max().item()


def _bounds(context: Context, config: CertificateConfig, given: Subject, logits: Tensor, slack: float) -> list[Found]:
    """Of all balls: norm after norm, each with rising radii."""
    params, w = context.job.params, context.job.wildcards
    radii = params.radii_for(w["profile"], w["dataset"])
    sizes = {norm: [_radius(radii, norm, factor) for factor in config.factors] for norm in config.norms}
    balls = [Ball(norm, radius * (1 + ROOM)) for norm, each in sizes.items() for radius in each]
    found = bounds(
        context.work,
        _images(given, "cpu"),
        given.labels,
        is_correct(logits, given.labels),
        balls,
        classifier=context.job.inputs["classifier"],
        model=params.methods[w["method"]].model,
        classes=logits.shape[1],
        method=config.method,
        threads=params.run.threads,
        batch_size=config.batch_size,
        slack=slack,
    )
    for ball, each in zip(balls, found, strict=True):
        share = 100 * (each.lower > slack).float().mean()
        context.log.line(f"{context.log.name}  {ball.norm} at {ball.radius:.4g}: {share:.1f} % certified")
    return found


def _radius(radii: Radii, norm: str, factor: str | float) -> float:
    """A share of a radius, as a number that is short in words."""
    return float(f"{number(getattr(radii, norm)) * number(factor):.9g}")


def _attacked(context: Context, config: CertificateConfig, given: Subject, factor: str | float) -> Evaluation:
    """What the suite's attacks on the norms do in the balls of one factor."""
    radii: dict[str, str | float] = {norm: _radius(given.radii, norm, factor) for norm in config.norms}
    attacks = [attack for attack in given.suite.attacks if attack.norm in config.norms]
    return evaluate(
        given.classifier,
        given.images,
        given.labels,
        given.suite.model_copy(update={"attacks": attacks}),
        radii,
        device=context.device,
        resume=context.work / f"tasks-{number(factor)}.jsonl",
        log=context.log,
    )


def _balls(
    context: Context,
    config: CertificateConfig,
    given: Subject,
    k: int,
    done: Evaluation,
    found: list[Found],
    slack: float,
) -> list[BallRecord]:
    """The balls of the k-th factor: what is certified in each, and what attacks did in it."""
    factor, balls = config.factors[k], []
    for norm, each in zip(config.norms, found, strict=True):
        of_norm = [attack for attack in done.attacks if attack.norm == norm]
        ball = BallRecord(
            norm=norm,
            factor=str(factor),
            radius=str(_radius(given.radii, norm, factor)),
            certified=_bits(each.lower > slack),
            attacks=of_norm,
        )
        wrong = contradiction(ball, done.clean, given.index)
        if wrong:
            raise UserError(f"{context.log.name}: {wrong}; nothing is kept: the bounds, or the attacks, are wrong")
        balls.append(ball)
    return balls


def _bits(flags: Tensor) -> str:
    return "".join("1" if flag else "0" for flag in flags.tolist())
