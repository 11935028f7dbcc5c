"""One file a source: `load(source) -> RawData`; entries of params.yaml name the file."""
