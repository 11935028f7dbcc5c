"""A page that opens from disk, with no network, and no script but its own, where it has one: others are forbidden."""

from __future__ import annotations

import base64
import hashlib
import html
from pathlib import Path


def escape(text: object) -> str:
    """Text as HTML."""
    return html.escape(str(text))


def beside(name: str) -> str:
    """The text of a file of this folder."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def document(title: str, body: str, script: str = "") -> str:
    """The whole page as text.

    Args:
        title: of the window, as text.
        body: HTML.
        script: JavaScript that may run; by its digest, so that nothing else may.
    """
    style = beside("style.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    may = f"; script-src 'sha256-{digest}'" if script else ""
    end = f"\n<script>{script}</script>" if script else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'{may}"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<link rel="icon" href="data:,"/>
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
{body}{end}
</body>
</html>
"""
