"""`python docs/site/look.py FOLDER`: opens every page of the built site in headless Chromium, at two widths.

Says what goes wrong: a request that leaves the disk, an error of a script, a page that is wider than its window, a
table that is cut at a desk, a picture that does not load, a search that finds nothing. Without a Chromium on PATH it
says that nothing was looked at, and ends well.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, TimeoutError, sync_playwright

WIDTHS = (390, 1280)
SCROLLS = ("docs/experiments.html", "docs/measurements.html")
"""Pages with a table that is wider than a text, as DVC prints it, or as benchmarks do: it scrolls by itself."""
DESK = 1280
"""Width from which tables are seen whole."""
SETTLED = 200
"""Milliseconds that a page's scripts get after it was loaded."""
WIDER = "() => document.documentElement.scrollWidth - window.innerWidth"
CUT = """() => [...document.querySelectorAll(".md-typeset__table")].filter(t => {
  const box = t.parentElement; return box.scrollWidth > box.clientWidth + 1; }).length"""
SEARCHED = ("union", "--records", "run.seeds")
"""Words, options and keys that somebody looks for: each is to be found."""
FOUND = 10_000
"""Milliseconds within which a search finds something."""
BROKEN = "() => [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.getAttribute('src'))"


def seen(page: Page, path: Path, width: int) -> Iterator[str]:
    """What is wrong with one page at one width."""
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(f"script: {error}"))
    page.on("request", lambda request: None if local(request.url) else said.append(f"asks for {request.url}"))
    page.goto(path.as_uri(), wait_until="load")
    page.wait_for_timeout(SETTLED)
    if (wider := page.evaluate(WIDER)) > 0:
        yield f"wider than its window by {wider} px"
    if width >= DESK and not path.as_posix().endswith(SCROLLS) and (cut := page.evaluate(CUT)):
        yield f"{cut} tables wider than the text"
    yield from (f"no picture: {name}" for name in page.evaluate(BROKEN))
    yield from said


def searched(page: Page, site: Path, text: str) -> Iterator[str]:
    """What is wrong with a search from the first page."""
    page.goto((site / "index.html").as_uri(), wait_until="load")
    page.locator("[data-md-component=search-query]").press_sequentially(text)
    try:
        page.locator(".md-search-result__item").first.wait_for(state="attached", timeout=FOUND)
    except TimeoutError:
        yield f"a search for {text} finds nothing"


def local(url: str) -> bool:
    """Whether a request stays on the disk."""
    return url.startswith(("file:", "data:", "blob:"))


def main(site: Path) -> int:
    """How many things are wrong, each of them printed."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("mngac: no page was LOOKED AT: found no chromium on PATH", file=sys.stderr)
        return 0
    wrong, pages = [], sorted(site.resolve().rglob("*.html"))
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width in WIDTHS:
            for path in pages:
                page = browser.new_page(viewport={"width": width, "height": 900})
                wrong += [
                    f"{path.relative_to(site.resolve())} at {width} px: {each}" for each in seen(page, path, width)
                ]
                page.close()
        for text in SEARCHED:
            page = browser.new_page(viewport={"width": DESK, "height": 900})
            wrong += searched(page, site.resolve(), text)
            page.close()
        browser.close()
    print(*wrong, f"{len(pages)} pages at {' and '.join(map(str, WIDTHS))} px: {len(wrong)} wrong", sep="\n")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(bool(main(Path(sys.argv[1]))))
