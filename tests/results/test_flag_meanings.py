"""Every red flag has a sentence that says what it means."""

import ast

import pytest
from evaluation_helpers import record
from helpers import ROOT

from mngac.evaluation.flags import at_chance, black_box_wins, fewer_targets
from mngac.params.checks import load
from mngac.results import red_flags
from mngac.results.flag_meanings import MEANINGS, meaning

PROBES = [
    ROOT / f"mngac/evaluation/{name}.py" for name in ("probes", "consistency", "continuity", "gradients", "held_out")
]
OTHERS = [ROOT / name for name in ("mngac/exchange/readings.py", "mngac/results/red_flags.py")]


def texts(path):
    """All texts of a file, those of f-strings up to their first value."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("start", [s for s in MEANINGS if s not in ("clean accuracy is", "not re-evaluated")])
def test_every_meaning_is_of_a_flag_that_somebody_raises(start):
    assert any(text.startswith(start) for path in [*PROBES, *OTHERS] for text in texts(path))


def test_flags_of_evaluations_and_between_records_have_a_meaning():
    attacks = record("11111", {"apgd_ce linf": "11111", "square linf": "00000"}).attacks
    entries = [{"attack": "apgd_ce", "norm": "linf", "steps": s, "restarts": 1} for s in (100, 10)]
    one = record("1111", {"apgd_ce linf": "1110", "apgd_ce_2 linf": "1000"}, entries=entries)
    wide = record("1111", {"apgd_ce linf": "1100"}, profile="wide", radii={"linf": "1/5"})
    flags = [
        *at_chance(1, 60, 10),
        *black_box_wins(attacks, [False, True], 5),
        *fewer_targets(load(ROOT / "params.yaml").evaluation["autoattack"], 4),
        *red_flags.overstates(entries),
        *red_flags.across([one]),
        *red_flags.across([record("1111", {"apgd_ce linf": "1000"}), wide]),
    ]
    assert len({meaning(flag) for flag in flags}) >= 5 and all(map(meaning, flags))


def test_an_unknown_flag_has_none():
    assert meaning("something else") == ""
