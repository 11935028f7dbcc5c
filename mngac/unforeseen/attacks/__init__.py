"""One file a kind of unforeseen attack: a class `Attack`, made of its entry; entries of `unforeseen` name it."""
