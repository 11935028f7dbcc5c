"""The stage `unforeseen`: a classifier's file -> its record under the attacks of an entry."""

from __future__ import annotations

import torch

from mngac.data import store
from mngac.models.opened import open_classifier
from mngac.pipeline.atomic import write_text
from mngac.pipeline.code import measuring_unforeseen
from mngac.pipeline.jobs import Context
from mngac.pipeline.provenance import provenance_of
from mngac.results.unforeseen import SCHEMA, UnforeseenRecord
from mngac.unforeseen.loop import measure


def run(context: Context) -> None:
    """Writes the job's record."""
    job, w, params = context.job, context.job.wildcards, context.job.params
    torch.set_num_threads(params.run.threads)
    data = store.load(job.inputs["data"])
    split, entry = data.split(params.run.split), params.unforeseen[w["unforeseen"]]
    n, classes = min(entry.n or len(split), len(split)), len(data.classes)
    model = params.methods[w["method"]].model
    measured = measure(
        open_classifier(job.inputs["classifier"], model, classes, data.shape).to(context.device),
        split.images[:n],
        split.labels[:n],
        entry,
        params.radii_for(w["profile"], w["dataset"]),
        w["dataset"],
        classes,
        device=context.device,
        resume=context.work / "tasks.jsonl",
        log=context.log,
    )
    about = provenance_of(context.key, context.key_parts, context.device, measuring_unforeseen(entry))
    record = UnforeseenRecord(
        schema_=SCHEMA,
        dataset=w["dataset"],
        split=params.run.split,
        method=w["method"],
        seed=int(w["seed"]),
        unforeseen=w["unforeseen"],
        profile=w["profile"],
        n=n,
        indices=split.index[:n].tolist(),
        clean=measured.clean,
        attacks=measured.attacks,
        flags=measured.flags,
        timing={"seconds": measured.seconds},
        provenance={**about, "held_out": data.held_out},
    )
    write_text(context.outputs["record"], record.to_json())
