"""Formulas as MathML, which browsers draw by themselves."""

from typing import Any

from latex2mathml.converter import convert


def fence(source: str, language: str, css_class: str, options: dict[str, Any], md: Any, **_: Any) -> str:
    """A ```math block, as pymdownx.superfences wants it."""
    return f'<div class="{css_class}">{convert(source, display="block")}</div>'
