"""Each planted cheat: what a careless evaluation says, what this project reports, and the flag that gives it away.

    python -m benchmarks.measure_cheats trained/digits/nat/seed0/classifier.safetensors --dataset digits

The cheats stand around the classifier of the file; the first line is that classifier itself. On the CPU.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import torch
from tabulate import tabulate
from torch import Tensor, nn

from benchmarks.cheats import CHEATS, careless, share
from mngac.data import store
from mngac.evaluation.challenge import challenge
from mngac.evaluation.held_out import remembered
from mngac.evaluation.loop import evaluate
from mngac.models.files import load_classifier
from mngac.params.checks import load
from mngac.pipeline.paths import data_path
from mngac.results.challenges import left as left_of

COLUMNS = ("clean", "linf", "l1", "l2", "union")


def rows(a: argparse.Namespace) -> list[dict[str, str]]:
    """A line for the honest classifier and one for each cheat: careless / reported, in percent, and all flags."""
    data, params = store.load(data_path(a.dataset)), load()
    test, others = data.split("test"), data.split("validation")
    images, y, held_out = test.images[: a.n], test.labels[: a.n], (others.images, others.labels)
    suite, radii = params.evaluation[a.suite], params.radii_for(params.run.profiles[0], a.dataset)
    again = params.rounds(a.suite)

    def row(name: str, cheat: Callable[[nn.Module, Tensor, Tensor], nn.Module]) -> dict[str, str]:
        first, second = (cheat(load_classifier(a.classifier, "cpu"), images / 255, y) for _ in range(2))
        found = careless(first, images / 255, y, radii)
        reported = evaluate(second, images, y, suite, radii)
        flags = [*remembered(second, (images, y), held_out, suite, radii), *reported.flags]
        shares = {c: f"{share(found[c]):.1f} / {reported.share(c):.1f}" for c in COLUMNS}
        if a.challenge:
            before = reported.union()
            rounds = challenge(second, images, y, radii, before, suite, again).rounds
            left = share(left_of("".join("1" if each else "0" for each in before), rounds))
            shares["union, challenged"] = f"{left:.1f}"
            flags += [flag for each in rounds for flag in each.flags if flag not in flags]
        print(name, *shares.values(), file=sys.stderr, flush=True)
        return {"cheat": name, **shares, "flags": "; ".join(flags) or "none"}

    planted = [row(name, CHEATS[name].cheat) for name in a.cheats]
    return [row("none: the honest classifier", lambda inner, x, y: inner), *planted]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("classifier", help="a classifier.safetensors of this project")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--suite", default="quick")
    parser.add_argument("--challenge", action="store_true", help="attack what is left again, as params.yaml says")
    parser.add_argument("--cheats", nargs="+", default=list(CHEATS), choices=CHEATS, metavar="CHEAT", help="(all)")
    parser.add_argument("--n", type=int, help="images, the first ones (default: all)")
    torch.set_num_threads(1)
    print(tabulate(rows(parser.parse_args()), headers="keys", tablefmt="github"))


if __name__ == "__main__":
    main()
