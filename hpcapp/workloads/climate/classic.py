# SPDX-License-Identifier: MIT
"""How long a classic NetCDF file must be: libraries read zeros beyond its end.

References
----------
"NetCDF classic format specification", Unidata, appendix B of the NetCDF user's guide:
CDF-1, CDF-2 (64-bit offsets) and CDF-5 (64-bit data).
"""

from math import prod
from struct import unpack
from typing import BinaryIO

__all__ = ["classic_length"]

# bytes of the types 1 to 11; 2 is char
SIZES = (0, 1, 1, 2, 4, 4, 8, 1, 2, 4, 8, 8)


class _Reader:
    """Numbers and names from the header of a file.

    Parameters
    ----------
    file : file
        At the first byte.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        version = file.read(4)[3]
        self._count = 8 if version == 5 else 4
        self._offset = 4 if version == 1 else 8

    def _number(self, size: int) -> int:
        data = self._file.read(size)
        return int(unpack(">i" if size == 4 else ">q", data)[0])

    def tag(self) -> int:
        """Read a number of 4 bytes."""
        return self._number(4)

    def count(self) -> int:
        """Read a length."""
        return self._number(self._count)

    def offset(self) -> int:
        """Read where something begins."""
        return self._number(self._offset)

    def skip_name(self) -> None:
        """Pass over a name, which is padded to 4 bytes."""
        self._file.seek(_padded(self.count()), 1)

    def skip_attributes(self) -> None:
        """Pass over a list of attributes."""
        self.tag()
        for _ in range(self.count()):
            self.skip_name()
            size = SIZES[self.tag()]
            self._file.seek(_padded(size * self.count()), 1)


def _padded(size: int) -> int:
    return -(-size // 4) * 4


def classic_length(path: str) -> int:
    """Return the bytes that a classic NetCDF file has at least if it is whole.

    Parameters
    ----------
    path : str
        A file that a library has opened.

    Returns
    -------
    int
        Up to the last value of the last variable.
    """
    with open(path, "rb") as file:
        header = _Reader(file)
        records = header.count()
        header.tag()
        lengths = []
        for _ in range(header.count()):
            header.skip_name()
            lengths.append(header.count())
        header.skip_attributes()
        header.tag()
        fixed, moving = [0], []
        for _ in range(header.count()):
            header.skip_name()
            shape = [lengths[header.count()] for _ in range(header.count())]
            header.skip_attributes()
            size = SIZES[header.tag()]
            header.count()
            begin = header.offset()
            if shape and shape[0] == 0:
                moving.append((begin, size * prod(shape[1:])))
            else:
                fixed.append(begin + size * prod(shape))
        # a record holds one slice of each; a lone one is not padded
        step = sum(_padded(size) for _, size in moving)
        if len(moving) == 1:
            step = moving[0][1]
        ends = [begin + (records - 1) * step + size for begin, size in moving]
        return max([*fixed, *ends]) if records > 0 else max(fixed)
