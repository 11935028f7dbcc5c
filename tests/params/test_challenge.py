"""Which rounds challenge a union: further seeds of its suite, then the opinions, in no norm but the suite's."""

import pytest
from helpers import small

from mngac.params.checks import parse


def rounds(**challenge):
    raw = small(methods=("nat",))
    raw["evaluation"]["only_linf"] = {**raw["evaluation"]["pgd"], "attacks": raw["evaluation"]["pgd"]["attacks"][:1]}
    raw["evaluation"]["only_l2"] = {**raw["evaluation"]["pgd"], "attacks": raw["evaluation"]["pgd"]["attacks"][1:2]}
    raw["challenge"] |= challenge
    return parse(raw)


def test_further_seeds_come_first_and_then_the_other_suites():
    params = rounds(attack_seeds=3, opinions=["pgd", "apgd"])
    found = params.rounds("apgd")
    assert [(name, suite.seed) for name, suite in found] == [("apgd", 1), ("apgd", 2), ("pgd", 0)]
    assert all(suite.attacks == params.evaluation[name].attacks for name, suite in found)
    assert rounds(attack_seeds=1, opinions=["apgd"]).rounds("apgd") == []


@pytest.mark.parametrize(("opinions", "left"), [(["only_l2"], []), (["only_l2", "pgd"], ["pgd"])])
def test_no_other_norm_is_attacked_than_the_suite_attacks(opinions, left):
    found = rounds(attack_seeds=1, opinions=opinions).rounds("only_linf")
    assert [name for name, _ in found] == left
    assert all(suite.norms == ["linf"] for _, suite in found)
