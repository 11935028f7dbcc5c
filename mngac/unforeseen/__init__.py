"""Attacks that no method trains against, each with a budget of its own; what they break is in no union."""
