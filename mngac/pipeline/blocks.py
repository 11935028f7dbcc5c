"""Blocks of an evaluation's images: how many there are, which shard has which, and what the cache has of each.

What attacks did to a block has a cache entry of its own, whose key is the evaluation's and the block's number. So a
shard, an evaluation that does it all, and shards of another number take up what any of them has finished.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from mngac.params.errors import DataError
from mngac.pipeline.cache import Cache, key_of

if TYPE_CHECKING:
    from mngac.params.sections import Suite
    from mngac.pipeline.jobs import Job

FINDINGS = "findings.json"


class Blocks:
    """The blocks of one evaluation, in a cache.

    Args:
        parts: of the evaluation's key.
        suite: its `block`, without which there are none.
        images: how many are evaluated.
        cache: where they are kept.
    """

    def __init__(self, parts: dict[str, Any], suite: Suite, images: int, cache: Cache):
        self.parts, self.cache = parts, cache
        self.count = -(-images // suite.block) if suite.block else 0

    def of_shard(self, shard: str) -> list[int]:
        """Numbers of the blocks that a shard has, such as each fourth of them for `2-of-4`, from the second on."""
        number, _, shards = shard.partition("-of-")
        return list(range(int(number) - 1, self.count, int(shards)))

    def key_parts(self, number: int) -> dict[str, Any]:
        """The parts of a block's key."""
        return {
            **self.parts,
            "stage": "evaluate_block",
            "wildcards": {**self.parts["wildcards"], "block": str(number)},
        }

    def key(self, number: int) -> str:
        """A block's key."""
        return key_of(self.key_parts(number))

    def missing(self, numbers: list[int]) -> list[int]:
        """Those that the cache does not have."""
        return [number for number in numbers if not self.cache.find(self.key(number))]

    def read(self, number: int, scratch: Path) -> list[dict[str, Any]] | None:
        """What was found in a block; None where the cache does not have it, or had it damaged.

        Args:
            number: of the block.
            scratch: a folder, for the file that is read and compared with its digest.
        """
        entry, copy = self.cache.find(self.key(number)), scratch / f"block{number}.json"
        if entry is None or not self.cache.restore(entry, {FINDINGS: str(copy)}):
            return None
        try:
            return json.loads(copy.read_text())
        finally:
            copy.unlink()

    def store(self, number: int, findings: list[dict[str, Any]], folder: Path) -> None:
        """Keeps what was found in a block; the folder, of the cache and empty, goes."""
        (folder / FINDINGS).write_text(json.dumps(findings))
        self.cache.store(self.key(number), self.key_parts(number), folder)
        self.cache.done(self.key(number))


def settled(shard: Job, cache: Cache) -> bool:
    """Whether nothing is left for a job of the stage `evaluate_shard`: its blocks, or the whole record, are known."""
    whole, run = shard.whole, shard.params.run
    suite = shard.params.evaluation[whole.wildcards["suite"]]
    blocks = Blocks(whole.key_parts(), suite, images_of(whole.inputs["data"], run.split, suite), cache)
    mine = blocks.of_shard(shard.wildcards["shard"])
    return not blocks.missing(mine) or cache.find(key_of(blocks.parts)) is not None


def images_of(path: str | Path, split: str, suite: Suite) -> int:
    """How many images an evaluation has: what the suite says, as far as the split of a tensor file has them.

    Raises:
        DataError: for a file that is no data set's.
    """
    try:
        with safe_open(path, "numpy") as file:
            there = int(file.get_slice(f"{split}.labels").get_shape()[0])
    except SafetensorError as error:
        raise DataError(f"{path}: no tensor file of a data set; delete it and run the data stage again") from error
    return min(suite.n or there, there)
