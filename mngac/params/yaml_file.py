"""A YAML file -> its content, where that can only be meant one way; one line with the key's path where it can't."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import yaml

from mngac.params.errors import ParamsError, cut, shown

MOST_BYTES = 1 << 18
"""Of a file: seconds to read, however it is made."""
MOST_DIGITS = 18
MERGE = "tag:yaml.org,2002:merge"
SCALARS = {
    "tag:yaml.org,2002:bool": "true or false",
    "tag:yaml.org,2002:int": f"an integer of at most {MOST_DIGITS} digits",
    "tag:yaml.org,2002:timestamp": "a date that exists",
}


def read(path: str) -> object:
    """The content of a YAML file, in dictionaries, lists and scalars.

    Raises:
        ParamsError: for a file that is missing, or no YAML in UTF-8; for a key that stands twice, an alias of what it
            stands in, a number too long or a date that does not exist.
    """
    with _explained(path), contextlib.closing(_Loader(path)) as loader:
        node = loader.get_single_node()
        if node is None:
            return None
        _check(loader, node, (), {})
        return loader.construct_document(node)


class _Loader(yaml.SafeLoader):
    def __init__(self, path: str):
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ParamsError(f"{path}: more than {MOST_BYTES:,} bytes; allowed: the sections of workflow/schemas")
        super().__init__(content.decode())
        self.path = path

    def close(self) -> None:
        self.dispose()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Puts merged keys in; one that comes several ways only once, or merges of merges would grow without end."""
        super().flatten_mapping(node)
        last = {id(key): (key, value) for key, value in reversed(node.value)}
        node.value = [*reversed(last.values())]


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        where = "run in the repository's top folder" if path == "params.yaml" else "allowed: a file that is there"
        raise ParamsError(f"{path}: not found; {where}") from None
    except UnicodeDecodeError as error:
        byte, line = error.object[error.start], error.object.count(b"\n", 0, error.start) + 1
        raise ParamsError(f"{path}: found the byte 0x{byte:02x} in line {line}; allowed: text in UTF-8") from None
    except yaml.YAMLError as error:
        text = str(error).replace('in "<unicode string>", ', "in ")
        raise ParamsError(f"{path}: not YAML: {cut(text, 200)}") from None
    except RecursionError:
        raise ParamsError(f"{path}: nested too deeply; allowed: the sections of workflow/schemas") from None


def key_path(*keys: object) -> str:
    """Keys joined by dots, such as `run.seeds.0`; one that is no plain word stands in quotes, cut short."""
    return ".".join(str(k) if re.fullmatch(r"[\w-]{1,64}", str(k)) else shown(str(k)) for k in keys)


def _check(loader: _Loader, node: yaml.Node, path: tuple[object, ...], finished: dict[int, bool]) -> None:
    """Checks a node and all under it, each once however many aliases it has; `finished` is false while inside one."""
    if not finished.get(id(node), True):
        raise ParamsError(f"{key_path(*path)}: found an alias of what it stands in; allowed: a value of its own")
    if id(node) in finished:
        return
    if isinstance(node, yaml.ScalarNode):
        _scalar(loader, node, path)
        return
    finished[id(node)] = False
    inside = _keys(loader, node, path) if isinstance(node, yaml.MappingNode) else enumerate(node.value)
    for key, value in inside:
        _check(loader, value, (*path, key), finished)
    finished[id(node)] = True


def _keys(loader: _Loader, node: yaml.MappingNode, path: tuple[object, ...]) -> Iterator[tuple[object, yaml.Node]]:
    """Keys and the nodes under them, none twice but `<<`."""
    lines: dict[object, int] = {}
    for key, value in node.value:
        if key.tag == MERGE:
            yield key.value, value
            continue
        name = _scalar(loader, key, path) if isinstance(key, yaml.ScalarNode) else key
        line = key.start_mark.line + 1
        if name in lines:
            found = f"found twice, in lines {lines[name]} and {line}"
            raise ParamsError(f"{key_path(*path, name)}: {found}; allowed: once")
        lines[name] = line
        yield name, value


def _scalar(loader: _Loader, node: yaml.ScalarNode, path: tuple[object, ...]) -> object:
    """The scalar's value."""
    with contextlib.suppress(ValueError, LookupError, AttributeError):
        value = loader.construct_object(node)
        if not isinstance(value, int) or abs(value) < 10**MOST_DIGITS:
            return value
    allowed = SCALARS.get(node.tag, "a value that YAML can read")
    raise ParamsError(f"{key_path(*path) or loader.path}: found {cut(node.value) or 'nothing'}; allowed: {allowed}")
