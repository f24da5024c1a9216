"""The command `clew`.

    clew run SCRIPT.py [args]     run a script that says `import torch` on clew
    clew labs [LAB ...]           the autograd course: programs with their expected output beside the actual one

Each command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType, TracebackType

__all__ = ["main"]

EXIT_USAGE = 2  # as argparse's own errors, and python's for a file that it can't open
EXIT_INTERRUPTED = 130  # 128 + SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status. A script's own SystemExit passes through."""
    options = _parser().parse_args(argv)
    status: int = options.command(options)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clew",
        description="PyTorch's autograd in readable Python: runs unmodified PyTorch scripts on NumPy.",
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    run = commands.add_parser(
        "run",
        help="run a script that says `import torch` on clew",
        description="Runs a Python script, unmodified, with clew in the place of torch. A PyTorch that is installed "
        "is not touched. Everything after SCRIPT goes to the script, and its exit status comes back.",
    )
    run.add_argument("script", metavar="SCRIPT", help="the script's file")
    run.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER, help="the script's own arguments")
    run.set_defaults(command=_run)

    labs = commands.add_parser(
        "labs",
        help="the autograd course: labs, checks and exercises, expected output beside actual",
        description="Runs the programs of the autograd course, says what each teaches and shows its expected output "
        "beside the actual one. The exit status is 1 if any differs.",
    )
    labs.add_argument(
        "names", metavar="LAB", nargs="*", help="a name from --list, or a lab's number; all if none"
    )
    labs.add_argument("--list", action="store_true", help="name the programs and run none")
    labs.set_defaults(command=_labs)
    return parser


class _Version(argparse.Action):
    """`--version`, an action since the text is imported only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show clew's version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from clew import version

        print(f"clew {version.clew} (the behaviour of PyTorch {version.__version__})")
        parser.exit()


def _complain(message: str) -> int:
    print(f"clew: {message}", file=sys.stderr)
    return EXIT_USAGE


# ---- clew labs ---------------------------------------------------------------------------------------------------------
def _labs(options: argparse.Namespace) -> int:
    from clew import labs

    try:
        programs = labs.choose(options.names)
    except LookupError as error:
        return _complain(error.args[0])
    if options.list:
        labs.show_list(programs)
        return 0
    try:
        return labs.run(programs)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


# ---- clew run ----------------------------------------------------------------------------------------------------------
def _run(options: argparse.Namespace) -> int:
    script = Path(options.script)
    try:
        source = script.read_bytes()
    except FileNotFoundError:
        return _complain(f"no such file: {options.script}")
    except IsADirectoryError:
        return _complain(f"{options.script} is a directory; name the script in it")
    except OSError as error:
        return _complain(f"can't read {options.script}: {error.strerror or error}")
    return _execute(script, source, options.args)


def _execute(script: Path, source: bytes, args: Sequence[str]) -> int:
    """Runs the script as `python SCRIPT ARGS` would: as `__main__`, with its own sys.argv and sys.path[0]."""
    from clew import as_torch

    main_module = _take_main(script, args)
    try:
        as_torch.install()
        code: CodeType = compile(source, main_module.__dict__["__file__"], "exec", dont_inherit=True)
        exec(code, main_module.__dict__)
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        _report(error)
        return EXIT_INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
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


def _report(error: BaseException) -> None:
    """The traceback that python would print: without the frames of the runner and of the import alias."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.__traceback__ = _without_runner(link.__traceback__)
        link = link.__cause__ or link.__context__
    sys.excepthook(type(error), error, error.__traceback__)


def _without_runner(traceback: TracebackType | None) -> TracebackType | None:
    if traceback is None:
        return None
    rest = _without_runner(traceback.tb_next)
    code = traceback.tb_frame.f_code
    if code.co_filename in _runner_files() or code.co_filename.startswith("<frozen importlib"):
        return rest
    return TracebackType(rest, traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)


def _runner_files() -> tuple[str, ...]:
    import importlib

    from clew import as_torch

    return tuple(
        function.__code__.co_filename for function in (_execute, as_torch.install, importlib.import_module)
    )
