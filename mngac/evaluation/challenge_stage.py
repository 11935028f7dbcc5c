"""The stages `craft` and `challenge`: a row's adversarial images for the others, and a record's union tried again."""

from __future__ import annotations

from typing import Any

import torch

from mngac import tensors
from mngac.attacks.apgd import apgd
from mngac.data.pixels import to_unit
from mngac.evaluation.challenge import challenge
from mngac.evaluation.isolated import isolated
from mngac.evaluation.reproducible import reproducible
from mngac.evaluation.subject import Subject, subject
from mngac.evaluation.transfer import Crafted
from mngac.models.frozen import under_attack
from mngac.params.errors import DataError
from mngac.params.types import Norm, number
from mngac.pipeline.atomic import write_text
from mngac.pipeline.jobs import Context
from mngac.pipeline.paths import crafted_method
from mngac.pipeline.provenance import provenance
from mngac.results.challenges import SCHEMA, Challenge
from mngac.results.records import Record, RecordError, read
from mngac.streams import stream


def craft(context: Context) -> None:
    """Writes the images of an evaluation, each moved in each norm's ball to where APGD found the highest loss."""
    given, steps = subject(context.job, context.device), context.job.params.challenge.transfer_steps
    made: dict[str, torch.Tensor] = {norm: _crafted(given, norm, steps, context.device) for norm in given.suite.norms}
    tensors.write(context.outputs["images"], made)
    context.log.line(f"{context.log.name}: {len(given.labels)} images in {', '.join(made)}")


def _crafted(given: Subject, norm: str, steps: int, device: str) -> torch.Tensor:
    radius = number(getattr(given.radii, norm))
    parts = []
    with under_attack(given.classifier, "eval"), isolated(given.suite.seed), reproducible(tensor_float32=False):
        for i, x in enumerate(given.images.split(given.suite.batch_size)):
            y = given.labels[i * given.suite.batch_size :][: len(x)].to(device)
            draw = stream(given.suite.seed, "craft", norm, i, device=device)
            parts.append(apgd(given.classifier, to_unit(x.to(device)), y, norm, radius, steps, draw).cpu())
    return torch.cat(parts)


def run(context: Context) -> None:
    """Writes the rounds after the job's record."""
    write_challenge(context, subject(context.job, context.device))


def write_challenge(context: Context, given: Subject) -> None:
    """Attacks what the job's record left of what is given, and writes what came of it."""
    job, w = context.job, context.job.wildcards
    record = read(job.inputs["record"])
    _check(record, given, context.key_parts["params"]["suite"], job.inputs["record"])
    found = challenge(
        given.classifier,
        given.images,
        given.labels,
        given.radii,
        record.union(),
        given.suite,
        job.params.rounds(w["suite"]),
        _others(context, given),
        device=context.device,
        work=context.work,
        log=context.log,
    )
    who: dict[str, Any] = {**w, "seed": int(w["seed"])}
    challenged = Challenge(
        schema_=SCHEMA,
        **who,
        split=job.params.run.split,
        n=record.n,
        attack_seed=given.suite.seed,
        norms=given.suite.norms,
        standing="".join("1" if each else "0" for each in record.union()),
        rounds=found.rounds,
        confirmation=found.confirmation,
        timing={"seconds": found.seconds},
        provenance=provenance(context.key, context.key_parts, context.device, given.suite),
    )
    write_text(context.outputs["challenge"], challenged.to_json())


def _others(context: Context, given: Subject) -> Crafted:
    """What the other rows crafted, by row and norm; other images than are evaluated are refused."""
    found: dict[str, dict[Norm, torch.Tensor]] = {}
    for path in context.job.inputs.values():
        source = crafted_method(path)
        if source and source != context.job.wildcards["method"]:
            content, _ = tensors.read(path)
            norms = given.suite.norms
            if any(norm not in content or content[norm].shape != given.images.shape for norm in norms):
                raise DataError(f"{path}: found other images than are evaluated; delete it and run craft again")
            found[source] = {norm: content[norm] for norm in norms}
    return found


def _check(record: Record, given: Subject, suite: dict[str, Any], path: str) -> None:
    """Refuses a record of other images, attacks or radii."""
    if record.indices != given.index:
        raise RecordError(f"{path}: found a record of other images; allowed: those of run.split; evaluate it anew")
    radii = {norm: number(getattr(given.radii, norm)) for norm in given.suite.norms}
    if record.suite_config != suite or {norm: number(each) for norm, each in record.radii().items()} != radii:
        raise RecordError(
            f"{path}: found a record of other attacks or radii; allowed: those of the job; evaluate it anew"
        )
