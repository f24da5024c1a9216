"""The version counter of a piece of memory, shared by every tensor that looks at it.

An operation that saves a value for `backward` notes the counter; an in-place write raises it. When the two differ at
`backward`, the saved value is no longer what the forward pass saw, and the gradient would be silently wrong.
"""

from __future__ import annotations

from types import CodeType

Place = tuple[CodeType, int]  # a code object and an offset in it: the source line is found when it is shown


class Version:
    """How often a memory was written, and where last."""

    __slots__ = ("n", "where")

    n: int  # writes so far
    where: Place | None  # the user's line that wrote last

    inference = False

    def __init__(self) -> None:
        self.n = 0
        self.where = None


class InferenceVersion(Version):
    """The mark of a tensor made in inference mode: nothing is counted, so it can never be saved for `backward`."""

    __slots__ = ()
    inference = True
