"""What checks the shapes of signatures at run time; an int may stand where a float is meant (PEP 484)."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
