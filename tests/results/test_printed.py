"""Tables in parts: all columns in their order, each part as wide as fits, and the keys in every one."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from mngac.results.printed import WIDE, Printed, markdown

names = st.lists(st.text("abcd", min_size=1, max_size=30), min_size=1, max_size=20, unique=True)


def parts_of(text):
    """The headers of each part, and how wide it is, from the Markdown."""
    found = []
    for block in text.split("\n\n"):
        lines = block.splitlines()
        if lines and lines[0].startswith("|"):
            found.append(([cell.strip() for cell in lines[0].split("|")[1:-1]], len(lines[0])))
    return found


@given(names, st.integers(1, 3), st.integers(1, 40))
def test_the_parts_hold_every_column_once_in_order_and_no_two_would_fit_in_one(headers, keys, wide):
    rows = [{header: "x" * ((7 * i + wide) % 40) for i, header in enumerate(headers)}] * 2
    text = markdown([Printed("Title", rows, "Caption.", keys=keys)])
    parts = parts_of(text)
    assert [name for part, _ in parts for name in part[keys:]] == headers[keys:]
    assert all(part[:keys] == headers[:keys] for part, _ in parts)
    assert all(width <= WIDE or len(part) <= keys + 1 for part, width in parts)
    for (_, first), (part, _) in itertools.pairwise(parts):
        following = part[keys]
        assert first + 3 + max(len(following) + 2, len(rows[0][following])) > WIDE


def test_a_table_that_is_asked_for_whole_is_one_and_one_without_rows_has_its_caption():
    row = {f"column {i}": "x" * 12 for i in range(12)}
    assert len(parts_of(markdown([Printed("T", [row], "C.")]))) > 1
    assert len(parts_of(markdown([Printed("T", [row], "C.")], whole=True))) == 1
    assert markdown([Printed("T", [], "C.")]).split() == ["###", "T", "C."]
