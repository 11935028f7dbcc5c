"""Lines of errors: short, in one line, with nothing that a terminal would obey, and what to do at their end."""

import errno
import os

import pytest

from mngac.params.errors import LONGEST_LINE, LONGEST_LIST, UserError, listed, shown, visible
from mngac.pipeline.files import TO_DO, mended


def test_a_line_that_is_too_long_keeps_where_and_what_to_do():
    error = UserError(f"params.yaml: found {'x' * 10_000}; allowed: a short one")
    said = str(error)
    assert len(said) == LONGEST_LINE and said.startswith("params.yaml: found xxx")
    assert " … " in said and said.endswith("x; allowed: a short one")
    assert len(error.args[0]) > 10_000
    assert str(UserError("short")) == "short"


@pytest.mark.parametrize(
    ("text", "said"),
    [("a\nb", "a\\nb"), ("\x1b[2J", "\\x1b[2J"), ("\u202eab", "\\u202eab"), ("\udcff", "\\udcff"), ("é 𝕏", "é 𝕏")],
)
def test_what_a_terminal_would_obey_is_shown(text, said):
    assert visible(text) == said and str(UserError(text)) == said


def test_a_value_is_json_and_short():
    assert shown("a\nb") == '"a\\nb"' and shown({"a": [1, None]}) == '{"a": [1, null]}'
    assert shown("x" * 100).endswith("… (102 characters)")


def test_a_list_that_fits_is_whole_and_a_longer_one_says_how_many_and_begins_with_what_resembles():
    assert listed(["b", "a"]) == "b, a"
    names = [f"method_{k}" for k in range(1000)]
    said = listed(names, near="methd_777")
    assert said.startswith("method_777, ") and said.endswith(", … (1,000 in all)")
    assert len(said) < LONGEST_LIST + 25
    assert listed(["x" * 5000]).endswith("(5,000 characters)")


@pytest.mark.parametrize("number", TO_DO)
def test_an_error_of_the_system_names_the_file_and_says_what_to_do(number):
    said = mended(OSError(number, "", "/some/where"))
    assert said.startswith("/some/where: ") and ("; " in said or "found a folder" in said)
    assert mended(OSError(number, ""), "known") == said.replace("/some/where", "known")


def test_an_error_of_the_system_that_is_not_known_is_named_too():
    said = mended(OSError(errno.EIO, "", "x"))
    assert said == f"x: {os.strerror(errno.EIO)}; look after the disk or the network, then run again"
    assert mended(OSError("no such luck")) == "no such luck"
