"""Which records may stand together: one decision for tables, comparisons, figures, report, export and red flags.

What other measurements must agree in, their tables say; that they do is checked here too.
"""

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
    known = [(record.name, facts(record)) for record in records]
    check_same(
        [(name, {fact: own[fact] for fact in wanted}) for name, own in known],
        "evaluate them anew",
        {"attack code": (mixed, "run.mixed: true (compare: --mixed)")},
    )


def check_same(
    known: Sequence[tuple[str, Mapping[str, Any]]], again: str, admitted: Mapping[str, tuple[bool, str]] | None = None
) -> None:
    """Refuses measurements whose facts differ.

    Args:
        known: of each, who was measured with what, and its facts: name -> value.
        again: what to do where they differ.
        admitted: facts that may differ where the first of the pair is true, which the second says how to ask for.

    Raises:
        RecordError: naming two of them, and what differs.
    """
    for who, own in known[1:]:
        name, first = known[0]
        for fact, value in own.items():
            may, way = (admitted or {}).get(fact, (False, ""))
            if value != first[fact] and not may:
                allowed = f"the same for all{way and f', or {way}'}"
                raise RecordError(f"{who} and {name} differ in their {fact}; allowed: {allowed}; {again}")
