"""Kernels compiled by Numba: their text in a file of its own in the cache folder, so that Numba keeps the machine code.

The folder is `$CLEW_CACHE`, or `clew` in the user's cache folder. Where it cannot be written, or what lies in it is
damaged, the kernel is compiled in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numba

from clew import version
from clew.capture import mathematics
from clew.capture.source import identifier
from clew.kernels.compiling import SOURCES
from clew.kernels.memory import give_back

_HEAD = """\
from numba import cfunc, njit, types
from clew.capture.mathematics import ROOM

globals().update(ROOM)


"""


def folder() -> Path:
    """Where compiled kernels are kept."""
    chosen = os.environ.get("CLEW_CACHE")
    if chosen:
        return Path(chosen)
    home = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME")
    return Path(home) / "clew" if home else Path.home() / ".cache" / "clew"


def compiled(text: str) -> Callable[..., Any]:
    """The function `kernel` of a text, whose decorators say `CACHE`."""
    give_back()  # the compiler needs memory of its own
    with contextlib.suppress(Exception):
        return _from_file(_HEAD + text.replace("CACHE", "True"))
    room: dict[str, Any] = {}
    exec(compile(_HEAD + text.replace("CACHE", "False"), "<kernel>", "exec"), room)
    made: Callable[..., Any] = room["kernel"]
    return made


def _from_file(text: str) -> Callable[..., Any]:
    called = Path(mathematics.__file__).read_text(encoding="utf-8")
    known = f"{text}{called}{SOURCES}{numba.__version__}{version.clew}{sys.version}"
    key = hashlib.sha256(known.encode()).hexdigest()[:24]
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"kernel_{key}.py"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        handle, beside = tempfile.mkstemp(dir=place, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(beside, path)
    spec = importlib.util.spec_from_file_location(f"clew_kernel_{key}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Numba looks for it when it takes machine code out of its cache
    spec.loader.exec_module(module)
    made: Callable[..., Any] = module.kernel
    return made


_NAME = re.compile(r"\b(?:[bh]\d+|x\d+)\b")
_OWN = re.compile(r"\b(rax|ax|[bhlx])\d+\b")
_MADE = re.compile(r"^ *(x\d+) = ", re.M)


def functions_of(
    parts: list[tuple[bool, list[str]]],
    shared: dict[str, str],
    numbers: list[str],
    name: str,
    more: Sequence[str] = (),
    kinds: dict[str, str] | None = None,
) -> tuple[list[str], list[str], list[str]]:
    """Functions for the parts, whose pointers lead to memories that do not overlap, and the lines that call them.

    Parts that differ in nothing but names, such as those of a net's layers, are one function. more: arguments that all take.
    kinds: Numba's types of all names; given for large kernels, whose functions are compiled each for itself and called through
    their addresses. The third result are these functions' names.
    """
    texts = []
    for _, lines in parts:
        text = "\n".join(lines)
        texts.append(re.sub(r"\bb\d+\b", lambda found: shared.get(found[0], found[0]), text))
    wanted = set(_NAME.findall(" ".join(numbers)))
    later: list[set[str]] = []
    for text in reversed(texts):
        later.append(set(wanted))
        wanted |= set(_NAME.findall(text))
    known: dict[str, str] = {}
    called: dict[str, None] = {}
    body: list[str] = []
    for (alone, lines), text, after in zip(parts, texts, reversed(later), strict=True):
        if alone:
            body += text.split("\n")
            continue
        if all(line.lstrip().startswith("#") for line in lines):
            continue
        body += [line for line in lines if line.startswith("#")]
        made = dict.fromkeys(_MADE.findall(text))
        given = [*[n for n in dict.fromkeys(_NAME.findall(text)) if n not in made], *more]
        out = ", ".join(n for n in made if n in after)
        source = "\n".join(f"    {line}" for line in text.split("\n") if not line.startswith("#"))
        source = _canonical(f"({', '.join(given)}):\n{source}\n" + (f"    return {out}\n" if out else ""))
        apart = kinds is not None and not out
        types = f"types.void({', '.join(kinds[n] for n in given)})" if kinds is not None and apart else ""
        own = known.setdefault(_decorated(types) + source, f"{identifier(name)}_{len(known)}")
        if apart:
            called[own] = None
            body.append(f"call({own}_at, ({', '.join(given)},))")
        else:
            body.append((f"{out} = " if out else "") + f"{own}({', '.join(given)})")
    return [text.replace("def ", f"def {own}", 1) for text, own in known.items()], body, list(called)


def _decorated(types: str) -> str:
    how = f"@cfunc({types}, " if types else "@njit("
    return f'{how}error_model="numpy", pipeline_class=Apart, cache=CACHE)\ndef '


def _canonical(text: str) -> str:
    """A function's text with its names numbered in the order in which they stand there."""
    names: dict[str, str] = {}
    counts: dict[str, int] = {}

    def renamed(found: re.Match[str]) -> str:
        if found[0] not in names:
            number = counts[found[1]] = counts.get(found[1], 0) + 1
            names[found[0]] = f"{found[1]}{number}"
        return names[found[0]]

    return _OWN.sub(renamed, text)


def array_type(dtype: str, ndim: int, contiguous: bool) -> str:
    """Numba's spelling of an array's type."""
    kind = {"f4": "float32", "f8": "float64", "i8": "int64", "i4": "int32", "u1": "uint8", "b1": "boolean"}[
        dtype
    ]
    return f"types.Array(types.{kind}, {ndim}, {'C' if contiguous else 'A'!r})"


def signature_of(kinds: Sequence[str]) -> str:
    return f"({', '.join(kinds)},)"


__all__ = ["array_type", "compiled", "folder", "functions_of", "signature_of"]
