"""Which records may stand together: one decision for tables, comparisons, figures, report, export and red flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mngac.params.types import number
from mngac.results.records import Record, RecordError

CLASSIFIER = ("data set", "method", "training seed")
"""Facts that make two records those of one classifier."""
IMAGES = ("data set", "split", "images")
"""Facts that let two records be held against each other image by image."""
MEASUREMENT = (*IMAGES, "suite", "attacks", "seed and batches of the attacks", "compilation", "radii", "attack code")
"""Facts that must be alike wherever numbers of several records are compared."""


def facts(record: Record) -> Mapping[str, Any]:
    """What a record says of who was measured, on what, with what: name of the fact -> value."""
    return {
        "data set": record.dataset,
        "method": record.method,
        "training seed": record.seed,
        "split": record.split,
        "images": record.indices,
        "suite": record.suite,
        "attacks": [
            {**config, "attack": attack.name, "norm": attack.norm}
            for attack, config in zip(record.attacks, record.configs, strict=True)
        ],
        "seed and batches of the attacks": [record.suite_config.get(key) for key in ("seed", "batch_size", "block")],
        "compilation": record.suite_config.get("compile", False),
        "radii": {attack.norm: number(attack.radius) for attack in record.attacks},
        "attack code": record.provenance.get("code"),
    }


def alike(first: Record, second: Record, wanted: Sequence[str]) -> bool:
    """Whether two records agree in some facts."""
    one, other = facts(first), facts(second)
    return all(one[name] == other[name] for name in wanted)


def check_alike(records: Sequence[Record], mixed: bool = False, wanted: Sequence[str] = MEASUREMENT) -> None:
    """Refuses records that may not stand together.

    Args:
        records: the records.
        mixed: admits attacks computed and accepted by different code.
        wanted: names of the facts in which all must agree.

    Raises:
        RecordError: naming two of them, and what differs.
    """
    if not records:
        return
    first = facts(records[0])
    for record in records:
        other = facts(record)
        for name in wanted:
            if other[name] != first[name] and not (mixed and name == "attack code"):
                way = ", or run.mixed: true (compare: --mixed)" if name == "attack code" else ""
                raise RecordError(
                    f"{record.name} and {records[0].name} differ in their {name}; allowed: the same for all{way}; "
                    "evaluate them anew"
                )
