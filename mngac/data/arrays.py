"""Heads of arrays in numpy's .npy form, read without running anything of the file's."""

from __future__ import annotations

from typing import IO

import numpy as np
from numpy.lib import format as npy

from mngac.params.errors import DataError, cut

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def header(file: IO[bytes], place: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array of numbers in C order; the file then stands at its first number.

    Args:
        file: at the array's first byte.
        place: what the file is called in errors.

    Raises:
        DataError: for a file that is no such array.
    """
    try:
        shape, fortran, dtype = HEADERS[npy.read_magic(file)](file)
    except (ValueError, KeyError) as error:
        raise DataError(f"{place}: found no array of numpy's ({cut(str(error))}); allowed: a .npy file") from None
    if fortran or dtype.hasobject:
        raise DataError(f"{place}: found {dtype} in {'Fortran' if fortran else 'C'} order; allowed: numbers in C order")
    return shape, dtype
