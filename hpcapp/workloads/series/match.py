# SPDX-License-Identifier: MIT
"""The automaton that finds a string of digits. Imports nothing."""

__all__ = ["match_table"]


def match_table(digits: str) -> list[list[int]]:
    """Return the automaton that looks for a string of digits.

    State s means that the last s digits read are the first s of the string, and no
    more are.

    Parameters
    ----------
    digits : str
        The string, not empty.

    Returns
    -------
    list of list of int
        For each state and each digit the next state; -1 where the string is complete.

    References
    ----------
    D. E. Knuth, J. H. Morris, V. R. Pratt, "Fast pattern matching in strings", SIAM
    Journal on Computing 6 (1977) 323-350.

    Examples
    --------
    >>> match_table("42")[1]
    [0, 0, -1, 0, 1, 0, 0, 0, 0, 0]
    """
    table = [[0] * 10 for _ in digits]
    # the state after all but the first digit of the string read so far
    behind = 0
    for state, digit in enumerate(digits):
        if state > 0:
            table[state] = list(table[behind])
            behind = table[behind][int(digit)]
        table[state][int(digit)] = state + 1
    table[-1][int(digits[-1])] = -1
    return table
