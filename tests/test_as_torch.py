"""`import torch` finds clew: the same modules under a second name, and an installed PyTorch left alone."""

from __future__ import annotations

from textwrap import dedent

import pytest

IMPORTS = [
    ("import torch", "torch is clew"),
    ("import torch as t", "t is clew"),
    ("import torch.nn as nn", "nn is clew.nn"),
    ("import torch.nn.functional", "torch.nn.functional is clew.nn.functional"),
    ("import torch.nn.functional as F", "F is clew.nn.functional"),
    ("from torch import nn, optim", "nn is clew.nn and optim is clew.optim"),
    ("from torch.nn import functional as F", "F is clew.nn.functional"),
    ("from torch.nn import Module", "Module is clew.nn.Module"),
    ("from torch import Tensor, tensor", "Tensor is clew.Tensor and tensor is clew.tensor"),
    ("from torch.autograd import grad_mode", "grad_mode is clew.autograd.grad_mode"),
    ("import importlib; nn = importlib.import_module('torch.nn')", "nn is clew.nn"),
    ("import importlib.util as u; spec = u.find_spec('torch')", "spec is not None"),
]


def passes(run_python, program: str, **options) -> None:
    done = run_python("-W", "error", "-c", dedent(program), **options)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def other_torch(tmp_path):
    """A folder with a package `torch` that is not clew, and has a submodule that clew lacks."""
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("own = True\n")
    (package / "only_here.py").write_text("")
    return tmp_path


@pytest.mark.parametrize(("statement", "holds"), IMPORTS)
def test_import_gives_the_same_object(run_python, statement, holds):
    passes(
        run_python,
        f"""
        from clew import as_torch
        as_torch.install()
        {statement}
        import clew, clew.nn.functional, clew.optim, clew.autograd.grad_mode
        assert {holds}
        """,
    )


def test_modules_are_executed_once_and_keep_their_names(run_python):
    passes(
        run_python,
        """
        import clew.nn.functional
        from clew import as_torch
        before = clew.nn.__spec__, clew.nn.__name__, clew.nn.Module, clew.__spec__
        as_torch.install()
        import torch.nn.functional
        assert (clew.nn.__spec__, clew.nn.__name__, clew.nn.Module, clew.__spec__) == before
        assert clew.nn.__name__ == "clew.nn" and torch.nn.Linear(1, 1).__class__.__module__.startswith("clew.")
        """,
    )


@pytest.mark.parametrize("name", ["torch.nowhere", "torch.nn.nowhere", "torch.nowhere.deeper"])
def test_a_missing_module_is_named(run_python, name):
    passes(
        run_python,
        f"""
        from clew import as_torch
        as_torch.install()
        try:
            import {name}
        except ModuleNotFoundError as error:
            first = ".".join("{name}".split(".")[: 3 if "nn." in "{name}" else 2])
            assert error.name == first, error.name
            assert str(error).startswith(f"No module named {{first!r}}") and first.replace("torch", "clew") in str(error)
        else:
            raise AssertionError
        """,
    )


def test_a_function_is_not_replaced_by_the_file_of_its_name(run_python):
    passes(
        run_python,
        """
        import clew
        from clew import as_torch
        as_torch.install()
        tensor = clew.tensor
        for name in ("tensor", "device"):
            try:
                __import__(f"torch.{name}")
            except ModuleNotFoundError:
                pass
            else:
                raise AssertionError(name)
        assert clew.tensor is tensor and isinstance(clew.device("cpu"), clew.device)
        """,
    )


def test_another_torch_is_neither_imported_nor_lost(run_python, other_torch):
    passes(
        run_python,
        """
        import sys, clew
        from clew import as_torch
        with as_torch.installed():
            with as_torch.installed():
                import torch
                assert torch is clew and not hasattr(torch, "own")
            assert as_torch.is_installed()
            try:
                import torch.only_here
            except ModuleNotFoundError:
                pass
            else:
                raise AssertionError
        assert not as_torch.is_installed() and "torch" not in sys.modules
        import torch.only_here
        assert torch.own and not hasattr(clew, "own")
        """,
        path=other_torch,
    )


def test_install_refuses_beside_an_imported_torch(run_python, other_torch):
    passes(
        run_python,
        """
        import torch
        from clew import as_torch
        try:
            as_torch.install()
        except RuntimeError as error:
            assert "already imported" in str(error)
        else:
            raise AssertionError
        assert not as_torch.is_installed() and torch.own
        """,
        path=other_torch,
    )


def test_install_and_uninstall_may_repeat(run_python):
    passes(
        run_python,
        """
        import sys
        from clew import as_torch
        as_torch.uninstall()
        as_torch.install(); as_torch.install()
        import torch.nn
        as_torch.uninstall()
        assert not any(name.partition(".")[0] == "torch" for name in sys.modules)
        as_torch.uninstall()
        """,
    )
