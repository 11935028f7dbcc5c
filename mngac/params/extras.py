"""Which extra of the package brings what is not installed."""

from __future__ import annotations

import mngac
from mngac.params.errors import line_of
from mngac.params.shipped import is_checkout

EXTRAS = {
    "foolbox": "attacks",
    "numba": "attacks",
    "pyautoattack": "attacks",
    "dvc": "pipeline",
    "matplotlib": "pipeline",
    "sklearn": "pipeline",
    "snakemake": "pipeline",
    "pandas": "pandas",
}
"""Of pyproject.toml, by the module that is imported."""


def missing(error: ModuleNotFoundError) -> str:
    """One line on what to install.

    Raises:
        ModuleNotFoundError: the error itself, where a module of this package is missing: that is a bug.
    """
    package = str(error.name).partition(".")[0]
    if package == mngac.__name__:
        raise error
    extra = EXTRAS.get(package)
    ours = f"pip install 'mngac[{extra}]'" if extra else "pip install mngac"
    if is_checkout():
        ours = "pip install --requirement requirements.lock"
    return line_of(f"the package {package} is not installed; run: {ours}, or for code of your own pip install it")
