"""Downloads that resume where they broke off and count only once their checksum is the published one."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from pathlib import Path

from mngac.params.errors import DataError
from mngac.pipeline.files import explained, looks_like_html, refuse_html
from mngac.pipeline.progress import Log

ATTEMPTS = 5
PAUSE = 1.0
TIMEOUT = 30.0
BLOCK = 1 << 16


class BrokenConnectionError(Exception):
    """The connection ended before the file did."""


def md5(path: str | Path) -> str:
    """MD5 of a file, as the data sets' publishers state it."""
    with explained(path), open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def check(path: Path, expected: str, origin: str) -> None:
    """Compares a file with its published checksum.

    Raises:
        DataError: where they differ, with the file, what was expected and what was found.
    """
    refuse_html(path, origin)
    digest = md5(path)
    if digest != expected:
        raise DataError(f"{path}: MD5 expected {expected}, found {digest}; delete it and get it again from {origin}")


def fetch(url: str, path: Path, expected: str, log: Log) -> Path:
    """The file of a URL, from `path` where it is there already.

    It grows as `<path>.part`, which survives a broken connection: the next attempt, or the next run, asks for the
    rest. It takes its name when its MD5 is the expected one.

    Raises:
        DataError: where the connection stays broken, the server refuses, or the content is not what was published.
    """
    if path.exists():
        check(path, expected, url)
        return path
    part = path.with_name(path.name + ".part")
    with explained(part):
        part.parent.mkdir(parents=True, exist_ok=True)
    log.line(f"{url} -> {path}")
    _patiently(url, part, log)
    try:
        check(part, expected, url)
    except DataError:
        part.unlink()
        raise
    part.replace(path)
    return path


def _patiently(url: str, part: Path, log: Log) -> None:
    """Attempts until the file is whole; an attempt that brought something does not count."""
    attempts = ATTEMPTS
    while True:
        before = _size(part)
        try:
            return _attempt(url, part, log)
        except urllib.error.HTTPError as error:
            raise DataError(f"{url}: the server answered {error.code} {error.reason}; {_by_hand(part)}") from error
        except (
            BrokenConnectionError,
            http.client.HTTPException,
            urllib.error.URLError,
            ConnectionError,
            TimeoutError,
        ) as error:
            attempts = attempts - 1 if _size(part) <= before else ATTEMPTS - 1
            why = " ".join(str(getattr(error, "reason", error)).split())
            if not attempts:
                raise DataError(
                    f"{url}: the connection broke after {_size(part):,} bytes ({why}); run again, it resumes from "
                    f"there; or {_by_hand(part)}"
                ) from error
            log.line(f"{url}: {why}; trying again from byte {_size(part):,}")
            time.sleep(PAUSE)


def _by_hand(part: Path) -> str:
    return f"put the file in place by hand as {part.with_suffix('')}, or name it in data.<dataset>.source"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _attempt(url: str, part: Path, log: Log) -> None:
    """One request for what is missing; a server without ranges starts anew."""
    start = _size(part)
    headers = {"User-Agent": "mngac", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        whole = error.headers.get("Content-Range", "").rpartition("/")[2]
        if whole == str(start):
            return
        part.unlink()
        raise BrokenConnectionError("the server's file is shorter than what was there") from error
    with answer:
        goes_on = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        if goes_on and not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            part.unlink()
            raise BrokenConnectionError("the server sent another range")
        length = answer.headers.get("Content-Length")
        total = None if length is None else int(length) + start * goes_on
        _receive(answer, part, goes_on, total, log)


def _receive(answer: http.client.HTTPResponse, part: Path, goes_on: bool, total: int | None, log: Log) -> None:
    done = _size(part) if goes_on else 0
    with explained(part):
        file = part.open("ab" if goes_on else "wb")
    with file, log.bar(total or 0, done, "B", scale=True) as bar:
        while block := answer.read(BLOCK):
            if not done and looks_like_html(block):
                raise DataError(f"{answer.url}: answers with an HTML page, not the archive; {_by_hand(part)}")
            with explained(part):
                file.write(block)
            done += len(block)
            bar.update(len(block))
    if total is not None and done < total:
        raise BrokenConnectionError(f"{done:,} of {total:,} bytes came")
