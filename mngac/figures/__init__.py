"""Figures, one file each: `draw(...) -> Figure`. Two stages draw them, one from records and logs, one from models."""
