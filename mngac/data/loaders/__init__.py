"""One file a source: `load(config, workspace) -> RawData`; entries of params.yaml name the file."""
