"""One file a source: `load(settings, workspace) -> RawData`; entries of params.yaml name the file."""
