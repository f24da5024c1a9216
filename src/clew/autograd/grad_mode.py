"""Switching recording on and off: `no_grad`, `enable_grad`, `set_grad_enabled`, `inference_mode`.

Each is a context manager and a decorator (of functions and of generators), and holds for the current thread.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from threading import get_ident
from typing import Any

from clew.core.modes import altered, beyond_grad, is_grad_enabled, is_inference_mode_enabled, switches

__all__ = [
    "enable_grad", "inference_mode", "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "is_grad_enabled",
    "is_inference", "is_inference_mode_enabled", "no_grad", "set_grad_enabled", "set_multithreading_enabled",
]  # fmt: skip


def is_anomaly_enabled() -> bool:
    """True where anomaly detection is on."""
    return switches.anomaly


def is_anomaly_check_nan_enabled() -> bool:
    """True unless anomaly detection was told not to look for NaN."""
    return switches.anomaly_nan


def is_inference(input: Any) -> bool:
    """Whether a tensor was made in inference mode."""
    return input.is_inference()


_new = object.__new__


class _Mode:
    """A context manager that can decorate functions."""

    __slots__ = ()

    def _again(self) -> Any:
        """A fresh context manager like this one."""
        return type(self)()

    def __enter__(self) -> Any:
        raise NotImplementedError

    def __exit__(self, kind: object, value: object, trace: object, /) -> None:
        raise NotImplementedError

    def __call__(self, function: Callable[..., Any]) -> Any:
        if isinstance(function, type):
            return _decorate_class(self, function)
        code = getattr(function, "__code__", None)
        if code is not None and code.co_flags & 0x20:  # a generator function
            return _decorate_generator(self, function)

        @functools.wraps(function)
        def decorated(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return decorated


def _decorate_class(mode: Any, cls: type) -> type:
    init = cls.__init__  # type: ignore[misc]

    @functools.wraps(init)
    def decorated(self: Any, *args: Any, **kwargs: Any) -> None:
        with mode._again():
            init(self, *args, **kwargs)

    cls.__init__ = decorated  # type: ignore[misc]
    return cls


def _decorate_generator(mode: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """The mode holds while the generator runs, not while its caller has what it yielded."""

    @functools.wraps(function)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        generator = function(*args, **kwargs)
        with mode._again():
            try:
                value = next(generator)
            except StopIteration as stop:
                return stop.value
        while True:
            try:
                sent = yield value
            except GeneratorExit:
                with mode._again():
                    generator.close()
                raise
            except BaseException as error:
                with mode._again():
                    try:
                        value = generator.throw(error)
                    except StopIteration as stop:
                        return stop.value
            else:
                with mode._again():
                    try:
                        value = generator.send(sent)
                    except StopIteration as stop:
                        return stop.value

    return decorated


class _Grad(_Mode):
    """Grad mode on or off for a while. What was the default on entering is the default again on leaving."""

    __slots__ = ("before", "fresh")

    enabled = False

    def __new__(cls, function: Any = None) -> Any:
        mode = _new(cls)
        return mode if function is None else mode(function)

    def __enter__(self) -> None:
        ident = get_ident()
        if ident in altered:
            self.fresh = False
            self.before = switches.grad
        else:  # every switch is in its default position
            self.fresh = self.before = True
            altered.add(ident)
        switches.grad = self.enabled

    def __exit__(self, kind: object, value: object, trace: object, /) -> None:
        switches.grad = self.before
        if self.fresh and get_ident() not in beyond_grad:
            altered.discard(get_ident())


class no_grad(_Grad):
    """Operations inside are not recorded: for predictions and for updates by hand."""

    __slots__ = ()


class enable_grad(_Grad):
    """Operations inside are recorded, also within `no_grad`."""

    __slots__ = ()
    enabled = True

    def __enter__(self) -> None:
        self.before = switches.grad
        self.fresh = False
        switches.grad = not switches.inference  # inference mode never records
        switches.note()

    def __exit__(self, *exc: object) -> None:
        switches.grad = self.before
        switches.note()


class set_grad_enabled(_Mode):
    """Grad mode as told: at once when called, and as a context manager until its end."""

    __slots__ = ("before", "mode")

    def __repr__(self) -> str:
        return f"torch.autograd.grad_mode.set_grad_enabled(mode={self.mode})"

    def __init__(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise TypeError(
                f"set_grad_enabled(): argument 'enabled' (position 1) must be bool, not {type(mode).__name__}"
            )
        self.before = switches.grad
        self.mode = mode
        switches.grad = mode and not switches.inference  # inference mode never records
        switches.note()

    def _again(self) -> set_grad_enabled:
        return set_grad_enabled(self.mode)

    def __call__(self, function: Callable[..., Any]) -> Any:
        switches.grad = self.before  # as a decorator it holds inside the function only
        switches.note()
        return super().__call__(function)

    def __enter__(self) -> None:
        switches.grad = self.mode and not switches.inference
        switches.note()

    def __exit__(self, *exc: object) -> None:
        switches.grad = self.before
        switches.note()


class inference_mode(_Mode):
    """Like `no_grad`, and the tensors made inside can never take part in recording."""

    __slots__ = ("before", "mode")
    mode: bool

    def __new__(cls, mode: Any = True) -> Any:
        made = object.__new__(cls)
        if isinstance(mode, bool):
            made.mode = mode
            return made
        made.mode = True
        return made(mode)

    def _again(self) -> inference_mode:
        return inference_mode(self.mode)

    def __enter__(self) -> None:
        self.before = switches.grad, switches.inference
        switches.inference = self.mode
        switches.grad = not self.mode
        switches.note()

    def __exit__(self, *exc: object) -> None:
        switches.grad, switches.inference = self.before
        switches.note()


class enforce_grad_layout_policy(_Mode):
    """Accepted for compatibility: a gradient is always laid out like its leaf."""

    __slots__ = ("enabled",)

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled

    def _again(self) -> enforce_grad_layout_policy:
        return enforce_grad_layout_policy(self.enabled)

    def __enter__(self) -> None:
        """Nothing to switch."""

    def __exit__(self, *exc: object) -> None:
        """Nothing to switch back."""


class set_multithreading_enabled(_Mode):
    """Accepted for compatibility: `backward` always runs in the thread that calls it."""

    __slots__ = ("before", "mode")

    def __init__(self, mode: bool) -> None:
        self.before = switches.multithreading
        self.mode = mode
        switches.multithreading = mode

    def _again(self) -> set_multithreading_enabled:
        return set_multithreading_enabled(self.mode)

    def __enter__(self) -> None:
        switches.multithreading = self.mode

    def __exit__(self, *exc: object) -> None:
        switches.multithreading = self.before
