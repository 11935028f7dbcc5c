"""The stage `evaluate`: a classifier's file -> its record, inside the DAG and outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mngac.evaluation.loop import Evaluation, evaluate
from mngac.evaluation.shards import findings
from mngac.evaluation.subject import Subject, subject
from mngac.pipeline.atomic import write_text
from mngac.pipeline.blocks import Blocks
from mngac.pipeline.jobs import Context
from mngac.pipeline.provenance import provenance
from mngac.results.costs import read_cost
from mngac.results.records import SCHEMA, Record

REPEATS = ("attacked", "collapses", "selected_epoch", "additional_images")
"""Of train.json, what a record states of the training beside its cost: equal for equal trainings, and no timing."""


def run(context: Context) -> None:
    """Writes the job's record."""
    write_record(context, subject(context.job, context.device))


def write_record(
    context: Context, given: Subject, flags: Sequence[str] = (), classifier: Mapping[str, Any] | None = None
) -> None:
    """Attacks what is given and writes the job's record.

    Args:
        context: of the job.
        given: what is attacked, and how.
        flags: red flags that others have found; they stand before the evaluation's own.
        classifier: what the provenance says of it, beside the parameters.
    """
    job, w = context.job, context.job.wildcards
    training = _training(job.inputs.get("training"))
    blocks = Blocks(context.key_parts, given.suite, len(given.labels), context.cache)
    evaluation = evaluate(
        given.classifier,
        given.images,
        given.labels,
        given.suite,
        given.radii,
        device=context.device,
        resume=context.work / "tasks.jsonl",
        known=findings(context, given, blocks, range(blocks.count)),
        log=context.log,
    )
    about = {
        **provenance(context.key, context.key_parts, context.device, given.suite),
        "held_out": given.held_out,
        **({"classifier": dict(classifier)} if classifier else {}),
    }
    who = {**w, "seed": int(w["seed"]), "split": job.params.run.split}
    evaluation = replace(evaluation, flags=[*flags, *evaluation.flags])
    record = record_of(evaluation, given.index, about, training, **who)
    write_text(context.outputs["record"], record.to_json())


def record_of(
    evaluation: Evaluation, indices: list[int], about: dict[str, Any], training: dict[str, Any] | None, **who: Any
) -> Record:
    """The record of an evaluation.

    Args:
        evaluation: what became of each image.
        indices: of the images, in their source's split.
        about: the record's provenance.
        training: its train.json, where that is known.
        who: dataset, split, method, seed, suite, profile.
    """
    cost = {key: value for key, value in (training or {}).items() if key not in REPEATS}
    told = {key: value for key, value in (training or {}).items() if key in REPEATS}
    return Record(
        schema_=SCHEMA,
        n=len(evaluation.clean),
        indices=indices,
        clean=evaluation.clean,
        attacks=evaluation.attacks,
        flags=evaluation.flags,
        timing={"seconds": evaluation.seconds, **({"training": cost} if cost else {})},
        provenance={**about, **({"training": told} if told else {})},
        **who,
    )


def _training(path: str | None) -> dict[str, Any] | None:
    """The training's train.json; None where that is not known."""
    return read_cost(path) if path else None
