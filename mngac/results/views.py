"""One evaluation to read: a table of its columns, and a pandas frame of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabulate import tabulate

from mngac.results.intervals import wilson
from mngac.results.records import PerImage

if TYPE_CHECKING:
    import pandas as pd


def table(found: PerImage) -> str:
    """Markdown: of each column the radius, the images that are correct, in percent too, and Wilson's 95 % interval."""
    radii: dict[str, str] = {attack.norm: attack.radius for attack in found.attacks}
    lines = []
    for name in found.columns():
        correct, n = sum(found.column(name)), len(found.clean)
        low, high = (100 * end for end in wilson(correct, n))
        interval = f"{low:.1f} to {high:.1f}"
        lines.append((name, radii.get(name, ""), f"{found.share(name):.1f}", interval, f"{correct} of {n}"))
    heads = ["", "radius", "correct in %", "95 % interval", "images"]
    return tabulate(lines, heads, tablefmt="github", disable_numparse=True)


def frame(found: PerImage) -> pd.DataFrame:
    """A row an image, in the order given: `clean`, an attack and norm each, each norm, and the union where all were.

    True is correct; an attack's column is missing where the image was broken before the attack's turn. Of a record the
    rows are labelled with the images' indices in their split.

    Raises:
        ModuleNotFoundError: where pandas is not installed.
    """
    import pandas as pd

    told = {"1": True, "0": False, ".": None}
    attacks = {f"{a.name} {a.norm}": [told[c] for c in a.correct] for a in found.attacks}
    columns = {"clean": found.clean_correct, **attacks, **{name: found.column(name) for name in found.columns()[1:]}}
    index = pd.Index(getattr(found, "indices", range(len(found.clean))), name="image")
    return pd.DataFrame({name: pd.array(values, dtype="boolean") for name, values in columns.items()}, index=index)
