"""Registries: files of the package and the user's own modules are found by name, without importing them."""

import inspect
import re
import sys

import pytest
from helpers import raw_params

from mngac.params.checks import parse
from mngac.params.errors import ParamsError
from mngac.params.keys import keys_read
from mngac.params.modules import module_file, tree_of
from mngac.params.registry import CLASSES, DEFINES, find, kinds
from mngac.pipeline.fingerprint import code_digest

METHODS = """
from mngac.methods import trades
from mngac.methods.base import Base

raise RuntimeError("nobody may import this to find it")

def weight(config):
    return config.options["gamma"] + 1

class Plain(Base):
    def loss(self, classifier, batch, step):
        return self.config.options["alpha"] * weight(self.config)

class Softer(trades.Method):
    def loss(self, classifier, batch, step):
        return super().loss(classifier, batch, step) * self.config.options["alpha"]

class Open(Base):
    def loss(self, classifier, batch, step):
        return self.config.options["alpha"] * self.config.options.get("more", 1)
"""


@pytest.fixture
def package(tmp_path, monkeypatch, request):
    """A package of one's own on sys.path, named after the test: nobody imports it."""
    name = f"own_{abs(hash(request.node.name))}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "methods.py").write_text(METHODS)
    (folder / "nets.py").write_text(
        "from .blocks import block\nimport yaml\n\ndef small(classes, channels, size): ...\n"
    )
    (folder / "blocks.py").write_text("def block(): ...\n")
    (folder / "broken.py").write_text("def small(:\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name, folder
    assert name not in sys.modules


def with_method(package, **entry):
    raw = raw_params()
    raw["methods"]["mine"] = {"kind": f"{package[0]}.methods:Plain", **entry}
    return raw


def test_a_file_of_the_package_and_a_module_of_ones_own_are_found_alike(package):
    name, folder = package
    ours, own = find("methods", "trades"), find("methods", f"{name}.methods:Plain")
    assert (ours.module, ours.name, ours.root) == ("mngac.methods.trades", "Method", "mngac.methods.trades")
    assert (own.module, own.name, own.root) == (f"{name}.methods", "Plain", f"{name}.methods:Plain")
    assert own.path == folder / "methods.py" and own.own and not ours.own
    assert find("models", f"{name}.nets:small").path == folder / "nets.py"


def attacks(package, *signatures):
    name, folder = package
    (folder / "attacks.py").write_text("\n".join(f"{text}: ..." for text in signatures))
    return f"{name}.attacks"


def test_a_function_of_ones_own_takes_what_it_will_be_given(package):
    module = attacks(
        package,
        "def plain(classifier, x, y, target, config)",
        "def with_more(c, x, y, /, target, config, tries=3, *, seed=0, **others)",
        "def any(*given)",
        "@anything\ndef wrapped(x)",
    )
    assert [find("evaluation/attacks", f"{module}:{name}").name for name in ("plain", "with_more", "any", "wrapped")]
    wrong = {
        "few": "def few(classifier, x, y, target)",
        "many": "def many(classifier, x, y, target, config, tries)",
        "keyed": "def keyed(classifier, x, y, target, config, *, tries)",
    }
    module = attacks(package, *wrong.values())
    tree_of.cache_clear()
    for name, text in wrong.items():
        with pytest.raises(ParamsError) as error:
            find("evaluation/attacks", f"{module}:{name}")
        assert str(error.value) == (
            f"attack: found {module}:{text.removeprefix('def ')}; "
            "allowed: a function of (classifier, x, y, target, config)"
        )
    for folder, given in (("data/loaders", "config, workspace"), ("models", "classes, channels, size")):
        with pytest.raises(ParamsError, match=re.escape(f"; allowed: a function of ({given})")):
            find(folder, f"{module}:few")


def test_each_model_name_is_built_by_the_one_file_whose_names_it_matches():
    found = {
        name: find("models", name).module for name in ("wrn_10_1", "preact_resnet_18", "resnet_50", "authors_resnet")
    }
    assert len(set(found.values())) == len(found) == len(kinds("models"))


def test_keys_are_those_of_the_class_of_what_it_uses_and_of_what_it_derives_from(package):
    kind = f"{package[0]}.methods"
    assert keys_read("methods", f"{kind}:Plain") == {"options", "options.alpha", "options.gamma"}
    assert keys_read("methods", f"{kind}:Softer") == {"options", "options.alpha", *keys_read("methods", "trades")}
    assert keys_read("methods", f"{kind}:Open") == {"options", "options.alpha", "options.*"}


def test_options_are_just_those_that_are_read(package):
    assert parse(with_method(package, options={"alpha": 1, "gamma": "x"})).methods["mine"].options["gamma"] == "x"
    refused = {
        "methods.mine.options: missing": {},
        "methods.mine.options.gamma: missing": {"options": {"alpha": 1}},
        "methods.mine.options.beta: not read by": {"options": {"alpha": 1, "beta": 1, "gamma": 1}},
        "methods.mine.beta: not read by": {"options": {"alpha": 1, "gamma": 1}, "beta": 1},
        "methods.mine.options.alpha: found [1]": {"options": {"alpha": [1], "gamma": 1}},
    }
    for said, entry in refused.items():
        with pytest.raises(ParamsError) as error:
            parse(with_method(package, **entry))
        assert str(error.value).startswith(said) and "\n" not in str(error.value)
    raw = with_method(package, kind=f"{package[0]}.methods:Open", options={"alpha": 1, "more": 2})
    assert parse(raw).methods["mine"].options == {"alpha": 1, "more": 2}


@pytest.mark.parametrize(
    ("section", "key", "name", "said"),
    [
        (
            "methods",
            "kind",
            "{}.nowhere:Plain",
            "but no file of a module {}.nowhere; allowed: a module of a package on PYTHONPATH",
        ),
        ("methods", "kind", "no_such_package:Plain", "but no file of a module no_such_package; allowed"),
        ("methods", "kind", "{}.methods:Absent", "allowed: a class that"),
        ("methods", "kind", "{}.broken:small", "not Python"),
        ("methods", "kind", "a b:c", "or package.module:name of your own"),
        ("training", "model", "{}.nets:absent", "allowed: a function that"),
        ("data", "loader", "{}.nets:absent", "allowed: a function that"),
    ],
)
def test_what_can_not_be_found_is_refused_in_one_line(package, section, key, name, said):
    raw = raw_params()
    entry = "nat" if section == "methods" else "digits"
    raw[section][entry] = {**raw[section][entry], key: name.format(package[0])}
    with pytest.raises(ParamsError) as error:
        parse(raw)
    text = str(error.value)
    assert text.startswith(f"{section}.{entry}.{key}: ") and said.format(package[0]) in text and "\n" not in text


@pytest.mark.parametrize("name", ["digits", "default", "tiny_imagenet"])
def test_a_model_that_no_file_builds_is_refused_wherever_it_stands(name):
    raw = raw_params()
    raw["training"][name]["model"] = "wrm_10_1"
    with pytest.raises(
        ParamsError, match=rf'^training.{name}.model: found "wrm_10_1"; allowed: such as .*wrn_28_10, or'
    ):
        parse(raw)


def test_the_code_digest_covers_ones_own_module_and_what_it_imports_of_its_package(package):
    from mngac.pipeline import fingerprint

    name, folder = package

    def digest():
        fingerprint.forget()
        return code_digest([f"{name}.nets:small"])

    found = [digest()]
    for file, text in (("blocks.py", "def block(): return 1\n"), ("__init__.py", "x = 1\n"), ("methods.py", "")):
        (folder / file).write_text(text)
        found.append(digest())
    assert found[0] != found[1] != found[2] and found[2] == found[3]


def test_a_module_is_found_without_running_it(package):
    assert module_file(f"{package[0]}.methods") == package[1] / "methods.py"
    assert module_file(f"{package[0]}.methods.inner") is None and module_file("sys") is None


@pytest.mark.parametrize("folder", [folder for folder in DEFINES if folder != "models"])
def test_classes_stand_where_the_registry_says_so_and_functions_elsewhere(folder):
    assert {inspect.isclass(find(folder, name).load()) for name in kinds(folder)} == {folder in CLASSES}
