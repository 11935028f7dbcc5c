"""What a run makes, in a form in which two runs can be compared: byte by byte, but for what was timed."""

import csv
import json
from pathlib import Path

TIMED = {"seconds", "process_seconds", "images_per_second"}


def outputs(folder: Path) -> dict[str, object]:
    """All that a run makes, timing aside."""
    found: dict[str, object] = {}
    optional = ("crafted", "challenges", "unforeseen", "certificates")
    for name in ("data", "trained", "records", *optional, "results"):
        for path in sorted((folder / name).rglob("*")):
            if path.is_file() and not path.name.startswith(".") and path.suffix not in (".html",):
                found[str(path.relative_to(folder))] = _content(path)
    return found


def _content(path: Path) -> object:
    if path.suffix == ".csv":
        with open(path, newline="", encoding="utf-8") as file:
            return [_untimed(row) for row in csv.DictReader(file)]
    if path.suffix == ".jsonl":
        return [_untimed(json.loads(line)) for line in path.read_text().splitlines()]
    return _untimed(json.loads(path.read_text())) if path.suffix == ".json" else path.read_bytes()


def _untimed(content: object) -> object:
    if isinstance(content, dict):
        return {key: _untimed(value) for key, value in content.items() if key != "timing" and key not in TIMED}
    return [_untimed(value) for value in content] if isinstance(content, list) else content
