"""Running other people's programs with clew in PyTorch's place: scripts, modules, notebooks; and beside PyTorch.

`clew run` is the command; everything here runs the program as Python itself would, as `__main__`, with its own
sys.argv and sys.path[0], and shows tracebacks that begin in the program.
"""

from __future__ import annotations

import ast
import importlib
import itertools
import json
import linecache
import os
import runpy
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

from clew import as_torch
from clew.core.node import internal

__all__ = ["Unreadable", "run_module", "run_notebook", "run_script"]

INTERRUPTED = 130  # 128 + SIGINT


Around = AbstractContextManager[object, bool | None]
_NOTHING: Around = nullcontext()


class Unreadable(Exception):
    """A file that is no program."""


# ---- scripts and modules -----------------------------------------------------------------------------------------------
def run_script(script: Path, source: bytes, args: Sequence[str], around: Around = _NOTHING) -> int:
    """As `python SCRIPT ARGS` would. The exit status; the program's own SystemExit passes through.

    `around` is entered before the program begins and is told, on leaving, of the exception that ended it.
    """
    main_module = _take_main(script, args)

    def program() -> None:
        code: CodeType = compile(source, main_module.__dict__["__file__"], "exec", dont_inherit=True)
        exec(code, main_module.__dict__)

    return _guarded(program, around)


def run_module(name: str, args: Sequence[str], around: Around = _NOTHING) -> int:
    """As `python -m NAME ARGS` would."""
    sys.argv = [name, *args]
    if not sys.flags.safe_path:
        sys.path[0] = str(Path.cwd())

    def program() -> None:
        runpy.run_module(name, run_name="__main__", alter_sys=True)

    return _guarded(program, around)


def _guarded(program: Callable[[], None], around: Around) -> int:
    """Run with `import torch` finding clew; errors are shown as Python shows them."""
    try:
        as_torch.install()
        with around:
            program()
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        _report(error)
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _take_main(script: Path, args: Sequence[str]) -> ModuleType:
    """A fresh `__main__` in sys.modules, where pickle and multiprocessing look for it; sys.argv and sys.path to match."""
    sys.argv = [str(script), *args]
    if not sys.flags.safe_path:
        sys.path[0] = str(script.resolve().parent)
    module = ModuleType("__main__")
    module.__dict__.update(__file__=str(script.absolute()), __builtins__=__builtins__, __cached__=None)
    sys.modules["__main__"] = module
    return module


# ---- tracebacks --------------------------------------------------------------------------------------------------------
def _report(error: BaseException) -> None:
    """The traceback that python would print: without the frames of the runner and of the import alias."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.__traceback__ = _without_runner(link.__traceback__)
        link = link.__cause__ or link.__context__
    if sys.excepthook is sys.__excepthook__:
        shown = traceback.TracebackException.from_exception(error)  # finds the lines of notebooks' cells, too
        if os.environ.get("CLEW_TRACEBACK") != "full":
            _fold(shown)
        shown.print()
    else:
        sys.excepthook(type(error), error, error.__traceback__)


def _fold(shown: traceback.TracebackException | None) -> None:
    """Put one line in the place of each run of clew's own frames, here and in the exceptions that led to it."""
    waiting, seen = [shown], set()
    while waiting:
        link = waiting.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        if not all(internal[frame.filename] for frame in link.stack):  # else it is clew that failed
            link.stack = _Stack(_folded(link.stack))
        waiting += [link.__cause__, link.__context__, *(link.exceptions or ())]


def _folded(stack: traceback.StackSummary) -> Iterator[traceback.FrameSummary]:
    for inside, frames in itertools.groupby(stack, key=lambda frame: internal[frame.filename]):
        run = list(frames)
        if inside:
            yield traceback.FrameSummary(_FOLD, len(run), "", lookup_line=False, line="")
        else:
            yield from run


class _Stack(traceback.StackSummary):
    def format_frame_summary(self, frame_summary: traceback.FrameSummary, **options: Any) -> str:
        if frame_summary.filename != _FOLD:
            return super().format_frame_summary(frame_summary, **options)
        count = frame_summary.lineno
        return f"  … {count} frame{'s' * (count != 1)} inside clew (CLEW_TRACEBACK=full shows them)\n"


_FOLD = "<folded>"


def _without_runner(trace: TracebackType | None) -> TracebackType | None:
    steps = []
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name not in _RUNNERS and not name.startswith(("<frozen importlib", "<frozen runpy")):
            steps.append(trace)
        trace = trace.tb_next
    for step in reversed(steps):
        trace = TracebackType(trace, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return trace


_RUNNERS = tuple(
    function.__code__.co_filename
    for function in (_guarded, as_torch.install, importlib.import_module, runpy.run_module)
)


# ---- notebooks ---------------------------------------------------------------------------------------------------------
def run_notebook(notebook: Path, source: bytes, args: Sequence[str], around: Around = _NOTHING) -> int:
    """Run the code cells one after another; the value of a cell's last line is printed, as a notebook shows it.

    Lines for the notebook's shell (`!…`) and its magic (`%…`) are passed over with a word on stderr. Unreadable for a
    file that is no notebook.
    """
    cells = list(_cells(source))
    main_module = _take_main(notebook, args)
    namespace = main_module.__dict__

    def program() -> None:
        for number, text in enumerate(cells, 1):
            name = f"{notebook}, cell {number}"
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
            _run_cell(ast.parse(text, name), name, namespace)

    return _guarded(program, around)


def _cells(source: bytes) -> Iterator[str]:
    """The code cells' text."""
    try:
        content = json.loads(source)
        found: list[Any] = content["cells"] if "cells" in content else content["worksheets"][0]["cells"]
    except (ValueError, KeyError, TypeError, IndexError):
        raise Unreadable("not a notebook") from None
    for cell in found:
        if cell.get("cell_type") == "code":
            lines = cell.get("source", cell.get("input", ""))
            yield _plain_python("".join(lines))


def _plain_python(text: str) -> str:
    """A cell without the lines that are not Python; they stay as empty lines, so that line numbers hold."""
    if text.lstrip().startswith("%%") and not text.lstrip().startswith(("%%time", "%%capture")):
        print(f"clew: passed over a cell for {text.split()[0]}", file=sys.stderr)
        return ""
    lines = text.splitlines()
    for i, line in enumerate(lines):
        if line.lstrip().startswith(("!", "%")):
            print(f"clew: passed over {line.strip()!r}", file=sys.stderr)
            lines[i] = line[: len(line) - len(line.lstrip())] + "pass"
        elif line.rstrip().endswith("?") and line.strip("? \n").isidentifier():
            lines[i] = "pass"
    return "\n".join(lines) + "\n"


def _run_cell(tree: ast.Module, name: str, namespace: dict[str, Any]) -> None:
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec", dont_inherit=True), namespace)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), name, "eval", dont_inherit=True), namespace)  # type: ignore[attr-defined]
        if value is not None:
            print(repr(value))
