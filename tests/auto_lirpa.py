"""Whether the environment of auto_LiRPA is there, which `make certify` makes and .ci/run asks for."""

import pytest

from mngac.certificates.bounds import interpreter
from mngac.params.errors import UserError


def missing() -> str:
    """Why it is missing, in one line; empty where it is there."""
    try:
        interpreter()
    except UserError as error:
        return str(error)
    return ""


needs_auto_lirpa = pytest.mark.skipif(bool(missing()), reason=missing())
