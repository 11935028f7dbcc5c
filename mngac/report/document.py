"""A page that opens from disk, with no network and no script, which it forbids too."""

from __future__ import annotations

import html
from pathlib import Path


def escape(text: object) -> str:
    """Text as HTML."""
    return html.escape(str(text))


def document(title: str, body: str) -> str:
    """The whole page as text.

    Args:
        title: of the window, as text.
        body: HTML.
    """
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<link rel="icon" href="data:,"/>
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
{body}
</body>
</html>
"""
