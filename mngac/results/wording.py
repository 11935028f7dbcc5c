"""Records in words: what captions, footnotes and the report say of them, taken from the records alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from mngac.params.types import NORMS
from mngac.results.records import Record


class HasProvenance(Protocol):
    """A record of any kind."""

    @property
    def provenance(self) -> dict[str, Any]: ...


LABELS = {"linf": "l_inf", "l1": "l_1", "l2": "l_2"}


def markdown(text: object) -> str:
    """Text as Markdown that shows it as it stands: nothing in it is a link, an image, a tag, code or a table's cell."""
    return re.sub(r"([\\`\[\]<>|*])", r"\\\1", str(text))


def images(records: Sequence[Record]) -> str:
    """Number and split of the images, such as `898 test images`; several where records differ."""
    return " or ".join(dict.fromkeys(f"{r.n} {r.split} images" for r in records)) or "no images"


def held_out(records: Sequence[Record]) -> str:
    """What of the source's training images was not trained on, with a semicolon; empty where no record says it."""
    said = dict.fromkeys(text for r in records if (text := r.provenance.get("held_out")))
    return "".join(f"{text}; " for text in said)


def radii(records: Sequence[Record], labels: Mapping[str, str] = LABELS) -> str:
    """The radius of each norm attacked, in the order of `NORMS`."""
    known = {norm: radius for record in records for norm, radius in record.radii().items()}
    return ", ".join(f"{labels[norm]} {known[norm]}" for norm in NORMS if norm in known)


def profiles(records: Sequence[Record]) -> str:
    """Names of the radii."""
    return ", ".join(sorted({r.profile for r in records}))


def suites(records: Sequence[Record]) -> str:
    """The suites, such as `suite quick`."""
    names = sorted({r.suite for r in records})
    return f"suite{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else "no suite"


def seeds(records: Sequence[Record]) -> str:
    """The training seeds; where a method lacks some of them, its own."""
    by_method: dict[str, list[int]] = {}
    for record in records:
        by_method.setdefault(record.method, []).append(record.seed)
    every = sorted({seed for own in by_method.values() for seed in own})
    fewer = [f"{method} only {_listed(own)}" for method, own in by_method.items() if sorted(set(own)) != every]
    return "; ".join([_listed(every), *fewer]) if every else "no seed"


def _listed(numbers: Sequence[int]) -> str:
    return f"seed{'s' if len(set(numbers)) > 1 else ''} {ranges(numbers)}"


def ranges(numbers: Sequence[int]) -> str:
    """Numbers in their order, each once; of more than five that follow each other the first and the last."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [f"{run[0]} to {run[-1]}" if len(run) > 5 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(texts)


def trained_on(records: Sequence[Record]) -> str:
    """The machines that the classifiers were trained on, as far as the records say."""
    said = {str(device) for r in records if (device := r.timing.get("training", {}).get("device"))}
    return ", ".join(sorted(said)) or "no device that a record names"


def made_at(provenance: Mapping[str, Any]) -> str:
    """The commit that something was made at; in a project of somebody's own the package's version and both commits."""
    commit = str(provenance.get("commit", "–"))
    if "project" not in provenance:
        return commit
    return f"{commit} (mngac {provenance.get('mngac')}), project {provenance['project']}"


def commits(records: Iterable[HasProvenance]) -> str:
    """The commits that records, of any kind, were made at."""
    return "; ".join(sorted({made_at(record.provenance) for record in records}))
