"""One file a family: `build(name, classes, channels, size)`, `NAMES`, `EXAMPLE`; beside them the noise generator."""
