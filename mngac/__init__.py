"""MNG-AC and its baselines: classifiers robust to l_inf, l_1 and l_2 attacks at once.

From Python: `mngac.evaluate`, `mngac.load_classifier`, `mngac.train`, `mngac.attack`, `mngac.load_data`,
`mngac.read_record`, `mngac.compare`; each is imported, and torch with it, when it is first asked for.
"""

from importlib import import_module

__version__ = "0.2.0"

_AT = {
    "Evaluated": "mngac.api.evaluation",
    "Record": "mngac.results.records",
    "Trained": "mngac.api.training",
    "attack": "mngac.api.attacks",
    "compare": "mngac.results.compare",
    "evaluate": "mngac.api.evaluation",
    "load_classifier": "mngac.api.classifiers",
    "load_data": "mngac.data.store:load",
    "read_record": "mngac.results.records:read",
    "train": "mngac.api.training",
}
"""Where each public name is defined; `:name` where it is called otherwise there. mngac/__init__.pyi says the same."""

__all__ = ["__version__", *_AT]


def __getattr__(name: str) -> object:
    if name not in _AT:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, called = _AT[name].partition(":")
    return getattr(import_module(module), called or name)


def __dir__() -> list[str]:
    return sorted(__all__)
