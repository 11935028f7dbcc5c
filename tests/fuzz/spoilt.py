"""Bytes and values spoilt at random: by a bit, a cut, an insertion, another type, a huge number, deep nesting."""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Callable
from typing import Any

PLANTED = "planted"
"""The file that planted code would make in the working folder."""


class Planted:
    """A pickle of it makes a file when somebody runs it."""

    def __reduce__(self):
        return os.system, (f"touch {PLANTED}",)


ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**17, 10**400, 0.5, 1e308, -0.0),
    *(
        float("nan"),
        float("inf"),
        "",
        " ",
        "0",
        "1/0",
        "8/255",
        "1e999999999",
        "nan",
        "..",
        "../x",
        "/",
        "a\nb",
        "a\0b",
    ),
    *(
        "a\0b",
        "\x1b[2J",
        "\u202e",
        "\u0663",
        "𝕏",
        "é",
        "x" * 5000,
        "$(touch planted)",
        "`touch planted`",
        "; touch planted",
    ),
    *("__import__('os').system('touch planted')", "os:system", "shutil:rmtree", "wrn_994_999", "wrn_10_1"),
    *("typing:nix", "'\"", [], {}, [[]], {"like": "nat"}, {"schema": 1}, [None] * 50, {"": ""}, list(range(300))),
]
"""Values in place of others."""
SNIPPETS = [
    *(b"\0", b"\xff\xfe", b"\n", b"\r\n", b"\t", b"{", b"}", b"[", b"]", b'"', b"'", b":", b"- ", b"#", b"&a ", b"*a"),
    *(b"!!", b"<<: *a", b"!!python/object/apply:os.system [touch planted]", b"? ", b"| ", b"> ", b"---\n", b"...\n"),
    *(b"%YAML 9", b"9" * 400, b"[" * 2000, b'{"a":' * 2000, b".nan", b"1e999", b"PK\3\4", b"\x80\x04"),
    b"cos\nsystem\n(S'touch planted'\ntR.",
    pickle.dumps(Planted(), protocol=0),
    pickle.dumps(Planted(), protocol=4),
]
"""Bytes put in."""


def spoilt(content: bytes, rng: random.Random) -> bytes:
    """Bytes with one to four changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        content = rng.choice(CHANGES)(content, rng)
    return content


def _flip(content: bytes, rng: random.Random) -> bytes:
    """One bit, near the head as often as anywhere."""
    if not content:
        return content
    place = rng.randrange(min(len(content), rng.choice((64, 1024, len(content)))))
    return content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _drop(content: bytes, rng: random.Random) -> bytes:
    first = rng.randrange(len(content) + 1)
    return content[:first] + content[first + rng.randrange(1, 64) :]


def _insert(content: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(content) + 1)
    return content[:place] + rng.choice(SNIPPETS) + content[place:]


def _repeat(content: bytes, rng: random.Random) -> bytes:
    first = rng.randrange(len(content) + 1)
    part = content[first : first + rng.randrange(1, 400)]
    return content[:first] + part * rng.randrange(2, 5) + content[first:]


def _number(content: bytes, rng: random.Random) -> bytes:
    """Eight bytes as a count of another size, as heads of binary files have them."""
    place = rng.randrange(len(content) + 1)
    number = rng.choice((0, 1, 2**31 - 1, 2**32, 2**40, 2**63 - 1, 2**64 - 1))
    return content[:place] + number.to_bytes(8, rng.choice(("little", "big"))) + content[place + 8 :]


def _rubbish(content: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(2000))


Change = Callable[[bytes, random.Random], bytes]
CHANGES: list[Change] = [_flip, _flip, _cut, _drop, _insert, _repeat, _number, _rubbish]


def respelt(value: Any, rng: random.Random) -> Any:
    """A value of JSON or YAML in which one to three parts are others, gone, or more."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        value = _other(value, rng)
    return value


def _other(value: Any, rng: random.Random) -> Any:
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.1:
        return _nested(rng) if rng.random() < 0.05 else rng.choice(ODD)
    changed = dict(value) if isinstance(value, dict) else list(value)
    key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
    what = rng.random()
    if what < 0.08:
        del changed[key]
    elif what < 0.16 and isinstance(changed, dict):
        changed[str(rng.choice(ODD))[:200]] = rng.choice(ODD)
    elif what < 0.16:
        changed.append(rng.choice(ODD))
    else:
        changed[key] = _other(value[key], rng)
    return changed


def _nested(rng: random.Random) -> Any:
    value: Any = rng.choice(ODD)
    for _ in range(rng.choice((5, 60, 300))):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value
