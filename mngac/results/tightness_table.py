"""The table of how far unions fell when they were challenged, in Markdown, CSV and LaTeX. Loads without torch."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence

from mngac.params.challenge import TRANSFER
from mngac.pipeline.paths import CHALLENGE
from mngac.results import wording
from mngac.results.challenges import Challenge
from mngac.results.intervals import wilson
from mngac.results.printed import DASH, Printed, files_of
from mngac.results.rows import flags_by_row
from mngac.results.statistics import spread
from mngac.results.tightness import Row, flags_of, steps


def sections(by_dataset: dict[str, list[Row]], suite: str, profile: str) -> list[Printed]:
    """A section a data set."""
    return [_section(dataset, rows, suite, profile) for dataset, rows in by_dataset.items()]


def _section(dataset: str, rows: Sequence[Row], suite: str, profile: str) -> Printed:
    title = f"How tight the unions are: {dataset}, {suite}, {profile}"
    flags = flags_by_row([(row.method, each.seed, flags_of(each)) for row in rows for each in row.challenges])
    files = [files_of(CHALLENGE, row.challenges) for row in rows]
    cells = _filled([_printed(row) for row in rows])
    return Printed(title, cells, _caption(rows, suite, flags), flags=flags, files=files)


def _filled(printed: list[dict[str, str]]) -> list[dict[str, str]]:
    """Rows with a dash wherever another row has something."""
    headers = max(printed, key=len, default={})
    return [{header: row.get(header, DASH) for header in headers} for row in printed]


def _printed(row: Row) -> dict[str, str]:
    """A row as printed: the union at first and after each kind of round."""
    curve, more = row.curve(), row.one_more()
    if not curve:
        return {"method": row.method}
    first, last = (_bounds(row, rounds) for rounds in (0, len(curve) - 1))
    printed = {"method": row.method, "union": first}
    for name, rounds in _ends(row):
        printed[name] = f"{curve[rounds]:.1f}"
    fell = f"{curve[0] - curve[-1]:.1f}"
    blind = str(sum(sum(each.without_gradients) for each in row.challenges))
    rest = {"left": last, "fell by": fell, "one more seed": DASH if more is None else f"≤ {more:.1f}"}
    return {**printed, **rest, "without gradients": blind}


def _ends(row: Row) -> list[tuple[str, int]]:
    """Each kind of round by its column's name, and how many rounds are done after it."""
    of = row.challenges[0]
    seeds = [(f"{of.further_seeds + 1} seeds", of.further_seeds)] if of.further_seeds else []
    others = list(enumerate(of.rounds, start=1))[of.further_seeds :]
    return seeds + [(f"+ {each.suite}", number) for number, each in others]


def _bounds(row: Row, rounds: int) -> str:
    """Mean and spread over training seeds, or the half width of Wilson's interval over images for one."""
    shares = [100 * sum(each.after(rounds)) / each.n for each in row.challenges]
    centre, deviation = spread(shares)
    if deviation is None:
        low, high = wilson(sum(row.challenges[0].after(rounds)), row.challenges[0].n)
        deviation = 100 * (high - low) / 2
    return f"{centre:.1f} ±{deviation:.1f}"


def _caption(rows: Sequence[Row], suite: str, flags: Sequence[str]) -> str:
    every = [each for row in rows for each in row.challenges]
    if not every:
        return f"No union of {suite} was challenged yet."
    one, seeds = every[0], sorted({each.seed for each in every})
    over = "standard deviation over seeds" if len(seeds) > 1 else "95 % interval over images (Wilson)"
    tried = [name for name, _ in _ends(next(row for row in rows if row.challenges))]
    after = f", then of the images that are left after each round ({', '.join(tried)})" if tried else ""
    lines = [
        f"{one.n} {one.split} images; training seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}; ±: "
        f"{over}.",
        f"Union of {_norms(one)} in percent under {suite}{after}.",
        "A round attacks what all before it left of the union, so what is left was broken by none of them.",
        "One more seed: 95 % limit (Clopper-Pearson) of the points by which a further seed of the suite would lower it "
        "on average, from what the last one broke."
        if one.further_seeds
        else "",
        "Transfer: adversarial images of every other row." if TRANSFER in [each.suite for each in one.rounds] else "",
        "Without gradients: images that Square or another row's image broke, and no attack with the classifier's "
        "gradients; a sign of masked gradients.",
        f"Commit {wording.commits(every)}.",
    ]
    broken = [f"{source} broke {count} of {method}" for (method, source), count in sorted(by_source(rows).items())]
    lines += [f"By transfer alone: {', '.join(broken)}."] if broken else []
    return " ".join([*filter(None, lines), *([f"Red flags: {'; '.join(flags)}."] if flags else [])])


def _norms(challenge: Challenge) -> str:
    return ", ".join(wording.LABELS[norm] for norm in challenge.norms)


def comma_separated(by_dataset: dict[str, list[Row]], suite: str, profile: str) -> str:
    """One line a training seed and round: the images that are left, and in the last one those of masked gradients."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header = (
        "dataset",
        "suite",
        "profile",
        "method",
        "seed",
        "round",
        "name",
        "n",
        "left",
        "share",
        "without_gradients",
    )
    writer.writerow(header)
    for dataset, rows in by_dataset.items():
        for challenge in [each for row in rows for each in row.challenges]:
            where = [dataset, suite, profile, challenge.method, challenge.seed]
            names = [f"{suite}, seed {challenge.attack_seed}", *(step.name for step in steps(challenge))]
            for number, name in enumerate(names):
                left = sum(challenge.after(number))
                masked = sum(challenge.without_gradients) if number == len(names) - 1 else ""
                share = round(100 * left / challenge.n, 4)
                writer.writerow([*where, number, name, challenge.n, left, share, masked])
    return out.getvalue()


def by_source(rows: Sequence[Row]) -> Counter[tuple[str, str]]:
    """(method, source) -> images that withstood all but the last round, and that the source's images broke there.

    In all training seeds; an image that several sources break is counted for each.
    """
    found: Counter[tuple[str, str]] = Counter()
    for challenge in [each for row in rows for each in row.challenges]:
        for attack in [a for each in challenge.rounds if each.suite == TRANSFER for a in each.attacks]:
            found[challenge.method, attack.name] += attack.correct.count("0")
    return +found
