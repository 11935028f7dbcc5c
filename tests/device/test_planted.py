"""What a method's file may do wrong on a card is found: a number read, a mask, a list, a tensor of the host's."""

import ast
import inspect
import types

import pytest
from card import Card, FakeCard, MixedError, card
from device_steps import PARAMS, Training, batch, classifier, method

from mngac.methods import base, generator_diagnostics, learned_noise
from mngac.params.registry import find

ENTRIES = {entry.kind: name for name, entry in reversed(PARAMS.methods.items())}
FOUND = {
    "a number read": "value.sum().item()",
    "an index by a mask": "value.reshape(-1)[value.reshape(-1) == 0]",
    "a copy between host and card": "torch.tensor([1.0], device=value.device)",
}
"""What each wait is called, and an expression that asks for it."""
WAITS = f"(lambda value, torch=__import__('torch'): ({', '.join(FOUND.values())}, value)[-1])"
HOST = "(lambda value: value + __import__('torch').zeros(1))"
SHARED = {
    "base": (base, "Base.attack"),
    "generator_diagnostics": (generator_diagnostics, "clamped_share"),
    "learned_noise": (learned_noise, "LearnedNoise.watch.worth"),
}
"""Files that several methods share, and what of them a step of mng_ac runs."""


def planted(module: types.ModuleType, place: str, defect: str) -> types.ModuleType:
    """The module anew, with every value that the function at the place returns passed through the defect."""
    tree = ast.parse(inspect.getsource(module))
    found: ast.AST = tree
    for name in place.split("."):
        found = next(node for node in ast.walk(found) if getattr(node, "name", None) == name)
    for node in ast.walk(found):
        if isinstance(node, ast.Return) and node.value:
            node.value = ast.Call(ast.parse(defect, mode="eval").body, [node.value], [])
    fresh = types.ModuleType(module.__name__)
    exec(compile(ast.fix_missing_locations(tree), module.__file__, "exec"), fresh.__dict__)
    return fresh


def one_step(entry: str) -> None:
    """A training step of an entry on a card."""
    Training(method(PARAMS.methods[entry], "lazy"), classifier("wrn_10_1", "lazy"), batch(4, "lazy")).step(0)


@pytest.fixture(params=[*ENTRIES, *SHARED])
def plant(request, monkeypatch):
    """Plants a defect in one file; gives the file and the entry whose step runs it."""

    def into(defect):
        kind = request.param
        if kind in SHARED:
            module, place = SHARED[kind]
            owner, name = module, place.split(".")[0]
            fresh = planted(module, place, defect)
            if "." in place:
                owner, name = getattr(module, name), place.split(".")[1]
                fresh = getattr(fresh, owner.__name__)
            monkeypatch.setattr(owner, name, getattr(fresh, name))
            return module.__file__, "mng_ac"
        loaded = find("methods", kind).load()
        module = inspect.getmodule(loaded)
        monkeypatch.setattr(loaded, "loss", planted(module, "Method.loss", defect).Method.loss)
        return module.__file__, ENTRIES[kind]

    return into


def test_a_number_a_mask_and_a_list_are_found(plant, monkeypatch):
    file, entry = plant(WAITS)
    with card(Card, monkeypatch) as watched:
        one_step(entry)
    assert {wait.split(":")[0] for wait in watched.waits if file in wait} >= set(FOUND), watched.waits


def test_a_tensor_of_the_hosts_is_found(plant, monkeypatch):
    _, entry = plant(HOST)
    with card(FakeCard, monkeypatch), pytest.raises(MixedError):
        one_step(entry)
