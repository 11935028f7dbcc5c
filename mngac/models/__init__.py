"""One file a family of classifiers: `build(name, classes, channels, size)`, `NAMES`, `EXAMPLE`; and the noise generator."""
