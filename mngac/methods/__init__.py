"""One file a method: a class `Method` with `loss(classifier, batch, step)`; entries of params.yaml name the file."""
