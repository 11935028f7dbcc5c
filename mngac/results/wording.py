"""Records in words: what captions, footnotes and the report say of them, taken from the records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mngac.params.types import NORMS
from mngac.results.records import Record

LABELS = {"linf": "l_inf", "l1": "l_1", "l2": "l_2"}


def images(found: Sequence[Record]) -> str:
    """Number and split of the images, such as `898 test images`; several where records differ."""
    return " or ".join(dict.fromkeys(f"{r.n} {r.split} images" for r in found)) or "no images"


def held_out(found: Sequence[Record]) -> str:
    """What of the source's training images was not trained on, with a semicolon; empty where no record says it."""
    said = dict.fromkeys(text for r in found if (text := r.provenance.get("held_out")))
    return "".join(f"{text}; " for text in said)


def radii(found: Sequence[Record], labels: Mapping[str, str] = LABELS) -> str:
    """The radius of each norm attacked, in the order of `NORMS`."""
    known = {norm: radius for record in found for norm, radius in record.radii().items()}
    return ", ".join(f"{labels[norm]} {known[norm]}" for norm in NORMS if norm in known)


def profiles(found: Sequence[Record]) -> str:
    """Names of the radii."""
    return ", ".join(sorted({r.profile for r in found}))


def suites(found: Sequence[Record]) -> str:
    """The suites, such as `suite quick`."""
    names = sorted({r.suite for r in found})
    return f"suite{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else "no suite"


def seeds(found: Sequence[Record]) -> str:
    """The training seeds; where a method lacks some of them, its own."""
    by_method: dict[str, list[int]] = {}
    for record in found:
        by_method.setdefault(record.method, []).append(record.seed)
    every = sorted({seed for own in by_method.values() for seed in own})
    fewer = [f"{method} only {_listed(own)}" for method, own in by_method.items() if sorted(set(own)) != every]
    return "; ".join([_listed(every), *fewer]) if every else "no seed"


def _listed(found: Sequence[int]) -> str:
    return f"seed{'s' if len(set(found)) > 1 else ''} {', '.join(map(str, sorted(set(found))))}"


def trained_on(found: Sequence[Record]) -> str:
    """The machines that the classifiers were trained on, as far as the records say."""
    return ", ".join(sorted({str(r.timing.get("training", {}).get("device")) for r in found})) or "nothing yet"


def commits(found: Sequence[Record]) -> str:
    """The commits that the records were made at."""
    return ", ".join(sorted({str(r.provenance.get("commit")) for r in found}))
