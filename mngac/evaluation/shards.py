"""Evaluations block by block: each one's findings come from the cache, or are made here and kept there."""

from __future__ import annotations

import contextlib
import signal
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from mngac.evaluation.loop import AttackBlock, attacked_blocks
from mngac.evaluation.subject import Subject, subject
from mngac.evaluation.tasks import Finding
from mngac.pipeline.blocks import Blocks
from mngac.pipeline.jobs import Context
from mngac.pipeline.stopping import Stopped


def run(context: Context) -> None:
    """The stage `evaluate_shard`: sees to it that the cache has each of its blocks."""
    given = subject(context.job, context.device)
    blocks = Blocks(context.job.whole.key_parts(), given.suite, len(given.labels), context.cache)
    for _ in findings(context, given, blocks, blocks.of_shard(context.job.wildcards["shard"])):
        pass


def findings(context: Context, given: Subject, blocks: Blocks, numbers: Iterable[int]) -> Iterator[Finding]:
    """What the attacks did to the images of some blocks, one block at a time.

    Several jobs may ask for the same block: one attacks it, the others wait and take up what it found.
    """
    with contextlib.ExitStack() as stack:
        attack: AttackBlock | None = None
        for number in numbers:
            key = blocks.key(number)
            with blocks.cache.lease(key):
                known = blocks.read(number, context.work)
                if known is None:
                    attack = attack or stack.enter_context(_attack(context, given))
                    work = blocks.cache.make(blocks.cache.work(key))
                    with _saved():
                        found = attack(number, work / "tasks.jsonl")
                    known = [asdict(finding) for finding in found]
                    blocks.store(number, known, blocks.cache.make(work / f"outputs-{uuid.uuid4().hex}"))
            yield from map(Finding.of_dict, known)


def _attack(context: Context, given: Subject) -> contextlib.AbstractContextManager[AttackBlock]:
    return attacked_blocks(
        given.classifier,
        given.images,
        given.labels,
        given.suite,
        given.radii,
        device=context.device,
        log=context.log,
    )


@contextlib.contextmanager
def _saved() -> Iterator[None]:
    """Says on the way out, where somebody stops the process, that finished batches are kept."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Stopped("what was finished is saved", getattr(stop, "by", signal.SIGINT)) from None
