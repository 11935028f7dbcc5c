"""Hand-made records of an attack space: ten images, two norms in balls of two radii, three specialists."""

import json
from pathlib import Path

from helpers import raw_params

from mngac.params.checks import parse
from mngac.params.sections import Params
from mngac.pipeline.paths import record_path

RADII = {"half": {"linf": 0.1, "l1": 1.0, "l2": 0.3}, "standard": {"linf": 0.2, "l1": 2.0, "l2": 0.6}}
SPACE = {
    "suite": "quick",
    "profiles": ["half", "standard"],
    "specialists": {"linf": ["adv_linf_half", "adv_linf"], "l1": ["adv_l1", "adv_l1"]},
}
HELD = {
    # Of ten images, nine of which are right without attack: under linf half, linf standard, l1 half, l1 standard.
    "adv_linf_half": (8, 4, 2, 1),
    "adv_linf": (6, 5, 2, 0),
    "adv_l1": (4, 1, 8, 4),
    "sat": (6, 3, 6, 3),
    "nat": (2, 0, 2, 0),
}


def record(method: str, profile: str, counts: tuple[int, int, int], seed: int, **changes) -> dict:
    """A record on ten images, the first of which withstand: so many under linf, l1 and l2."""
    columns = {norm: "1" * count + "0" * (10 - count) for norm, count in zip(("linf", "l1", "l2"), counts, strict=True)}
    attacks = [
        dict(name="apgd", norm=norm, radius=str(RADII[profile][norm]), correct=column, rejected=0, forwards=9)
        for norm, column in columns.items()
    ]
    return {
        "schema": 1, "dataset": "digits", "split": "test", "method": method, "seed": seed, "suite": "quick",
        "profile": profile, "n": 10, "indices": list(range(10)), "clean": "1111111110", "attacks": attacks,
        "flags": [], "timing": {"training": {"device": "cpu"}}, "provenance": {"code": "c" * 64, "commit": "abc"},
        **changes,
    }  # fmt: skip


def written(folder: Path, *by_seed: dict[str, tuple[int, ...]], space=SPACE, methods=tuple(HELD), **changes) -> Params:
    """Writes the records of some methods, counts a seed, changed by `<method>_<profile>`; gives the run."""
    for seed, held in enumerate(by_seed):
        for method, (a, b, c, d) in held.items():
            for profile, counts in (("half", (a, c, 9)), ("standard", (b, d, 5))):
                content = record(method, profile, counts, seed, **changes.get(f"{method}_{profile}", {}))
                names = ("dataset", "method", "seed", "suite", "profile")
                path = folder / record_path({name: str(content[name]) for name in names})
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(content))
    raw = raw_params()
    raw["radii"] |= {profile: {"digits": radii} for profile, radii in RADII.items()}
    raw["methods"]["adv_linf_half"] = {"like": "adv_linf", "training": {"profile": "half"}}
    raw["run"] |= {"methods": list(methods), "semi_methods": [], "teachers": [], "seeds": list(range(len(by_seed)))}
    raw["run"] |= {"profiles": ["standard", "half"], "attack_spaces": ["lp"]}
    raw["attack_spaces"] = {"lp": space}
    return parse(raw)
