"""`import torch` finds clew.

    from clew import as_torch

    with as_torch.installed():
        import torch  # the module clew
        from torch.nn import functional as F  # the module clew.nn.functional

`torch.X` *is* `clew.X`: the same module object under a second name, never executed twice. A PyTorch that is installed on
the machine is neither imported nor changed, and can be imported again after `uninstall()`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["install", "installed", "is_installed", "uninstall"]

_ALIAS = "torch"
_ROOT = __name__.partition(".")[0]


def _belongs(name: str) -> bool:
    return name == _ALIAS or name.startswith(_ALIAS + ".")


def _original(name: str) -> str:
    """`torch.nn` -> `clew.nn`."""
    return _ROOT + name[len(_ALIAS) :]


def _find(name: str) -> ModuleType:
    """The clew module that stands for `name`; ModuleNotFoundError where clew has none."""
    original = _original(name)
    if original not in sys.modules:
        parent, _, child = original.rpartition(".")
        # `clew.tensor` the function must not be replaced by clew/tensor.py, a file that PyTorch doesn't have.
        hidden = child in vars(_find(_ALIAS + parent[len(_ROOT) :]))
        try:
            if not hidden:
                return importlib.import_module(original)
        except ModuleNotFoundError as error:
            if error.name != original:  # found, and something that it imports is missing
                raise
        raise _missing(name)
    module = sys.modules[original]
    parent, _, child = original.rpartition(".")
    if parent and getattr(sys.modules[parent], child, module) is not module:
        raise _missing(name)
    return module


def _missing(name: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(
        f"No module named {name!r}: clew stands in for PyTorch here and has no {_original(name)!r}", name=name
    )


# Modules of PyTorch hidden behind a function of the same name, which `from torch.nn.utils.weight_norm import …` reaches all
# the same. They are made known beforehand: what is imported anew would take the function's place.
_TWINS = {
    "torch.nn.utils": {"weight_norm": "weight_normalization", "spectral_norm": "spectral_normalization"},
}


def _name_twins(package: str) -> None:
    for name, place in _TWINS.get(package, {}).items():
        sys.modules[f"{package}.{name}"] = importlib.import_module(f"{_original(package)}.{place}")


class _AliasLoader(Loader):
    """Hands over a module that exists already, as it was."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.own_spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.own_spec  # the import system has just written the alias's spec over it


class _AliasFinder(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not _belongs(name):
            return None
        module = _find(name)
        _name_twins(name)
        return ModuleSpec(name, _AliasLoader(module), is_package=hasattr(module, "__path__"))


_finder = _AliasFinder()


def is_installed() -> bool:
    """Whether `import torch` finds clew now."""
    return _finder in sys.meta_path


def install() -> None:
    """Makes `import torch` and `import torch.X` find clew, in this process, from now on. Twice is as good as once.

    Raises RuntimeError if PyTorch itself is imported already: a program that holds both would mix their tensors.
    """
    if is_installed():
        return
    if _ALIAS in sys.modules and sys.modules[_ALIAS] is not sys.modules[_ROOT]:
        raise RuntimeError(
            "PyTorch is already imported, so clew can't take its place in this process. "
            "Call clew.as_torch.install() before anything imports torch, or start the program with `clew run`."
        )
    sys.meta_path.insert(0, _finder)


def uninstall() -> None:
    """Gives the name `torch` back. Modules that imported clew under that name keep what they hold."""
    if not is_installed():
        return
    sys.meta_path.remove(_finder)
    for name in [name for name in sys.modules if _belongs(name)]:
        del sys.modules[name]


@contextmanager
def installed() -> Iterator[None]:
    """`install()` for the length of a `with` block; nothing if it was installed before."""
    if is_installed():
        yield
        return
    install()
    try:
        yield
    finally:
        uninstall()
