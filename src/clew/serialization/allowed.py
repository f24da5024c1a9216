"""What a file may name. A pickle calls what it names, so loading allows a fixed list, and what the program adds to it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

_extra: dict[str, Any] = {}  # by full name, what the program has allowed


def full_name(thing: Any) -> str:
    """The name under which a file speaks of a class or function."""
    from clew.serialization.names import public_name

    found = public_name(thing)
    return ".".join(found) if found else f"{thing.__module__}.{thing.__qualname__}"


def add_safe_globals(safe_globals: Sequence[Any]) -> None:
    """Allow files to name these classes and functions; a pair (thing, name) allows it under another name."""
    for item in safe_globals:
        thing, name = item if isinstance(item, tuple) else (item, full_name(item))
        _extra[name] = thing


def get_safe_globals() -> list[Any]:
    """What `add_safe_globals` has allowed."""
    return list(_extra.values())


def clear_safe_globals() -> None:
    """Take back everything that `add_safe_globals` allowed."""
    _extra.clear()


@contextmanager
def safe_globals(safe_globals: Sequence[Any]) -> Any:
    """`add_safe_globals` for the length of a `with` block."""
    before = dict(_extra)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        _extra.clear()
        _extra.update(before)


def allowed_by_program(name: str) -> Any:
    """What the program allowed under a full name; None where it did not."""
    return _extra.get(name)


def get_unsafe_globals_in_checkpoint(f: Any) -> list[str]:
    """The names in a file that loading would refuse."""
    from clew.serialization.archive import Archive
    from clew.serialization.unpickler import Unpickler, names_in

    archive = Archive(f)
    unpickler = Unpickler(archive.pickle(), archive)
    return [f"{m}.{n}" for m, n in names_in(archive.pickle()) if unpickler.look_up(m, n) is None]
