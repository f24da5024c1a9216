"""What is wrong with a program's use of autograd: mistakes that run without a word, found while it runs.

    with clew.doctor() as d:
        train()
    print(d.report().as_text())

`clew doctor SCRIPT.py` does the same for a script. Findings have the symptom, the numbers, the user's line and the fix;
`docs/doctor/` has a page for each. Off, nothing of this is loaded or patched.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clew.doctor.watch import Watch

__all__ = ["doctor"]


def doctor(*, ignore: Sequence[str] = ()) -> Watch:
    """A context manager that watches what runs in it; its `report()` tells what was found. `ignore`: rules by name.

    ValueError for a name that no rule has.
    """
    from clew.doctor.rules import all_rules
    from clew.doctor.watch import Watch

    names = [ignore] if isinstance(ignore, str) else list(ignore)
    unknown = set(names) - {rule.name for rule in all_rules()}
    if unknown:
        raise ValueError(f"no rule is called {sorted(unknown)[0]!r}; `clew doctor --list` names them")
    return Watch(names)


class _Callable(ModuleType):
    """`clew.doctor` is this module, and is called."""

    def __call__(self, *, ignore: Sequence[str] = ()) -> Watch:
        return doctor(ignore=ignore)


sys.modules[__name__].__class__ = _Callable
