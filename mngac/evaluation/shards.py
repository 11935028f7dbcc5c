"""The stage `evaluate_shard`: some blocks of an evaluation, attacked by a job of their own.

The evaluation takes up what its shards have found, and attacks what is missing: its record is the same, however many
there were, and whether they ran at all.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mngac.evaluation.blocks import share
from mngac.evaluation.loop import evaluate_share
from mngac.evaluation.subject import subject
from mngac.evaluation.tasks import Finding
from mngac.params.errors import ParamsError
from mngac.pipeline.atomic import write_text
from mngac.pipeline.cache import Cache, key_of
from mngac.pipeline.jobs import Context, Job, job
from mngac.pipeline.progress import Log
from mngac.results.json_file import RecordError, read_json

SCHEMA = 1


def run(context: Context) -> None:
    """Writes what the attacks do to the shard's images; nothing where the cache has the whole evaluation already."""
    if _whole(context.job, context.log):
        context.log.line(f"{context.log.name}: nothing to do, the whole evaluation is in the cache")
        found: list[Finding] = []
    else:
        found = _found(context)
    content = {"schema": SCHEMA, "key": context.key, "findings": [asdict(finding) for finding in found]}
    write_text(context.outputs["findings"], json.dumps(content) + "\n")


def _found(context: Context) -> list[Finding]:
    given = subject(context.job, context.device)
    number = int(context.job.wildcards["shard"].partition("-")[0])
    return evaluate_share(
        given.classifier,
        given.images,
        given.labels,
        given.suite,
        given.radii,
        share(len(given.labels), given.suite, number),
        device=context.device,
        resume=context.work / "tasks.jsonl",
        log=context.log,
    )


def _whole(shard: Job, log: Log) -> bool:
    """Whether the cache has the record of the evaluation that the shard is of."""
    wildcards = {name: value for name, value in shard.wildcards.items() if name != "shard"}
    with contextlib.suppress(ParamsError):  # of a training whose train.json is not here
        whole = job(shard.params, "evaluate", **wildcards)
        return Cache(tell=log.line).find(key_of(whole.key_parts())) is not None
    return False


def known(evaluation: Job, log: Log) -> list[Finding]:
    """What the shards of an evaluation have found, as far as their files are there and of this very evaluation.

    Args:
        evaluation: a job of the stage `evaluate`.
        log: is told in one line which files are not taken, and why.
    """
    found: list[Finding] = []
    there = {name: path for name, path in evaluation.shards.items() if Path(path).exists()}
    if 0 < len(there) < len(evaluation.shards):
        log.line(f"{log.name}: {len(there)} of {len(evaluation.shards)} shards are there; the rest is attacked here")
    parts = _parts(evaluation) if there else {}
    for name, path in there.items():
        try:
            found += _read(path, key_of({**parts, "wildcards": {**evaluation.wildcards, "shard": name}}))
        except RecordError as error:
            log.line(f"{log.name}: {error}; its images are attacked here")
    return found


def _parts(evaluation: Job) -> dict[str, Any]:
    """Of the keys of its shards, which differ in their names alone."""
    first = next(iter(evaluation.shards))
    return job(evaluation.params, "evaluate_shard", **evaluation.wildcards, shard=first).key_parts()


def _read(path: str, key: str) -> list[Finding]:
    """The findings in a shard's file.

    Raises:
        RecordError: for another file, or that of another evaluation.
    """
    allowed = "what mngac evaluate_shard writes"
    content = read_json(path, allowed)
    if (
        not isinstance(content, dict)
        or content.get("schema") != SCHEMA
        or not isinstance(content.get("findings"), list)
    ):
        raise RecordError(f"{path}: found something else; allowed: {allowed}")
    if content.get("key") != key:
        raise RecordError(f"{path}: of another evaluation; allowed: one of the same key")
    try:
        return [Finding.of_dict(finding) for finding in content["findings"]]
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{path}: found no findings in it; allowed: {allowed}") from error
