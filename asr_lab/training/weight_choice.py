"""What a run's weights may be called: `best`, `last`, `average`, `average:N`. Loads without torch."""

from __future__ import annotations

from asr_lab.errors import CheckpointError

NAMED = ("best", "last", "average")
AVERAGE_OF = "average:"
MOST_AVERAGED = 10_000


def num_averaged(name: str) -> int | None:
    """The N of `average:N`, whose weights are the mean of the N best checkpoints; None for any other name.

    CheckpointError where N is no whole number from 1.
    """
    if not name.startswith(AVERAGE_OF):
        return None
    digits = name.removeprefix(AVERAGE_OF)
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 5 and 1 <= int(digits) <= MOST_AVERAGED):
        raise CheckpointError(
            f"{name!r}: average:N takes a whole number from 1 to {MOST_AVERAGED:,}, as average:5 does"
        )
    return int(digits)


def name_problem(name: str) -> str | None:
    """Why a name is none of those that a run's weights have; None where it is one."""
    if name in NAMED:
        return None
    try:
        return None if num_averaged(name) else f"must be {', '.join(NAMED)} or average:N, got {name!r}"
    except CheckpointError as error:
        return str(error)
