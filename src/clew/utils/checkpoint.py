"""Checkpointing: what a part of the model saves for backward is computed once more instead of kept (Chen et al. 2016).

Two ways. use_reentrant=False replaces everything saved inside by placeholders; the first to be opened in backward runs the
function again. use_reentrant=True runs the function without recording, as one node; its backward records it and walks back.
"""

from __future__ import annotations

import enum
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from clew.autograd.backward import backward
from clew.autograd.function import Function
from clew.autograd.grad_mode import enable_grad, no_grad
from clew.autograd.graph import saved_tensors_hooks
from clew.core.modes import is_grad_enabled, observers, switches
from clew.core.variable import Variable
from clew.nn.containers import Sequential
from clew.ops.sampling import fork_rng, get_rng_state, set_rng_state
from clew.pytree import tree_map

GENTLY = (
    "use_reentrant=False is recommended, but if you need to preserve the current default behavior, you can pass "
    "use_reentrant=True. Refer to docs for more details on the differences between the two variants."
)
NOT_GIVEN = (
    "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. Starting in PyTorch 2.9, calling "
    "checkpoint without use_reentrant will raise an exception. " + GENTLY
)
NOT_GIVEN_SEQUENTIAL = (
    "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be passed explicitly. In version 2.9 "
    "we will raise an exception if use_reentrant is not passed. " + GENTLY
)
PARTIAL = (
    "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs` parameter to "
    ".backward(). To resolve this error, you can either set use_reentrant=False, or call .backward() without passing the "
    "`inputs` argument."
)
TIP = (
    "\n\nThe function must compute the same when it is run again: it must not depend on what changes in between "
    "(counters, lists that grow, flags), nor draw random numbers with preserve_rng_state=False. Pass `debug=True` to "
    "`checkpoint` for the operations of both runs."
)
DUMPED = (
    "An error happened while unpacking tensors; dumping logs of latest computation\nbecause you passed `debug=True` to "
    "`torch.utils.checkpoint.checkpoint()`.\n"
)


class CheckpointError(RuntimeError):
    """The function computed something else when it was run again."""

    __module__ = "torch.utils.checkpoint"


class _Settings:
    """What `set_checkpoint_early_stop` and `set_checkpoint_debug_enabled` set for all checkpoints; None: as called."""

    early_stop: bool | None = None
    debug: bool | None = None


_settings = _Settings()


@contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Whether running again ends with the last value that is needed, for every checkpoint called inside."""
    before, _settings.early_stop = _settings.early_stop, enable
    try:
        yield
    finally:
        _settings.early_stop = before


@contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Whether errors list the operations of both runs, for every checkpoint called inside."""
    before, _settings.debug = _settings.debug, enabled
    try:
        yield
    finally:
        _settings.debug = before


# ---- the state around a run --------------------------------------------------------------------------------------------
def noop_context_fn() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """Nothing around either run."""
    return nullcontext(), nullcontext()


class _Around:
    """Random stream and autocast as they were when the function first ran."""

    def __init__(self, preserve_rng_state: bool) -> None:
        self.stream = get_rng_state() if preserve_rng_state else None
        self.autocast = switches.autocast

    @contextmanager
    def again(self) -> Iterator[None]:
        """The same state, and recording, for another run."""
        before = switches.autocast
        switches.autocast = self.autocast
        switches.note()
        try:
            with fork_rng(enabled=self.stream is not None), enable_grad():
                if self.stream is not None:
                    set_rng_state(self.stream)
                yield
        finally:
            switches.autocast = before
            switches.note()


def get_device_states(*args: Any) -> tuple[list[int], list[Any]]:
    """The random streams of the GPUs that hold the arguments: none."""
    return [], []


def set_device_states(devices: Any, states: Any, *, device_type: str | None = None) -> None:
    """Set the random streams of GPUs: there are none."""


class DefaultDeviceType:
    """The kind of device whose random stream is preserved besides the CPU's; kept for programs that set it."""

    _kind = "cpu"

    @staticmethod
    def set_device_type(device: str = "cuda") -> None:
        """Set it."""
        DefaultDeviceType._kind = device

    @staticmethod
    def get_device_type() -> str:
        """What it is."""
        return DefaultDeviceType._kind


# ---- one node ----------------------------------------------------------------------------------------------------------
def detach_variable(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The tensors among the arguments as leaves that want a gradient where those did."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            f"Only tuple of tensors is supported. Got Unsupported input type: {type(inputs).__name__}"
        )
    return tuple(
        value.detach().requires_grad_(value.requires_grad) if isinstance(value, Variable) else value
        for value in inputs
    )


def check_backward_validity(inputs: Iterable[Any]) -> None:
    """Warn where no argument wants a gradient."""
    if not any(value.requires_grad for value in inputs if isinstance(value, Variable)):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)


class CheckpointFunction(Function):
    """A function as one node, which keeps the arguments alone."""

    @staticmethod
    def forward(ctx: Any, run_function: Any, preserve_rng_state: bool, *args: Any) -> Any:
        """Run without recording."""
        check_backward_validity(args)
        ctx.run_function = run_function
        ctx.around = _Around(preserve_rng_state)
        ctx.partial = False
        ctx.places = [i for i, value in enumerate(args) if isinstance(value, Variable)]
        ctx.others = [None if isinstance(value, Variable) else value for value in args]
        ctx.save_for_backward(*[args[i] for i in ctx.places])
        with no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Run again, recording, and walk back."""
        if ctx.partial:
            raise RuntimeError(PARTIAL)
        given = list(ctx.others)
        for place, tensor in zip(ctx.places, ctx.saved_tensors, strict=True):
            given[place] = tensor
        inputs = detach_variable(tuple(given))
        with ctx.around.again():
            outputs = ctx.run_function(*inputs)
        outputs = (outputs,) if isinstance(outputs, Variable) else outputs
        pairs = [
            (output, grad)
            for output, grad in zip(outputs, grads, strict=False)
            if isinstance(output, Variable) and output.requires_grad
        ]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        backward([output for output, _ in pairs], [grad for _, grad in pairs])
        return (None, None, *[value.grad if isinstance(value, Variable) else None for value in inputs])


def _as_one_node(function: Any, preserve: bool, args: tuple[Any, ...]) -> Any:
    result = CheckpointFunction.apply(function, preserve, *args)
    for output in (result,) if isinstance(result, Variable) else result:
        node = output.grad_fn if isinstance(output, Variable) else None
        if node is not None:

            def arrived(grad: Any, node: Any = node) -> None:  # the walk is known to hooks of tensors
                node.partial = switches.walk.capture is not None

            output.register_hook(arrived)
            break
    return result


# ---- placeholders ------------------------------------------------------------------------------------------------------
class _StopRunning(Exception):
    """All that is needed has been computed again."""


class _Frame:
    """One call: how many tensors it saved, what they looked like, and how to compute them again."""

    def __init__(self, run: Callable[[], Any], early_stop: bool, compare: bool, debug: bool) -> None:
        self.run = run
        self.early_stop = early_stop
        self.compare = compare
        self.debug = debug
        self.looks: list[dict[str, Any]] = []  # of what was saved, in order
        self.found: dict[int, Any] = {}  # what has been computed again and not been asked for yet
        self.logs: tuple[list[str], list[str]] = ([], [])

    def pack(self, tensor: Any) -> int:
        """A number in place of a tensor."""
        self.looks.append(_look(tensor))
        return len(self.looks) - 1

    def unpack(self, number: int) -> Any:
        """The tensor of a number, computed again if it must be."""
        if number not in self.found:
            try:
                self._again()
            except CheckpointError as error:
                if self.debug:
                    raise CheckpointError(DUMPED + str(error) + self._listing()) from None
                raise
        return self.found.pop(number)

    def _again(self) -> None:
        found: list[Any] = []

        def keep(tensor: Any) -> Any:
            if len(found) >= len(self.looks):
                raise CheckpointError(
                    "torch.utils.checkpoint: trying to save more tensors during recomputation than during the original "
                    "forward pass." + TIP
                )
            found.append(tensor.detach())
            if self.early_stop and len(found) == len(self.looks):
                raise _StopRunning
            return found[-1]

        try:
            with saved_tensors_hooks(keep, lambda tensor: tensor), self.logging(1):
                self.run()
        except _StopRunning:
            pass
        self._check(found)
        self.found = dict(enumerate(found))

    def _check(self, found: list[Any]) -> None:
        if len(found) != len(self.looks):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the original forward and "
                f"recomputation.\nNumber of tensors saved during forward: {len(self.looks)}\n"
                f"Number of tensors saved during recomputation: {len(found)}." + TIP
            )
        if not self.compare:
            return
        differing = [
            f"tensor at position {i}:\nsaved metadata: {look}\nrecomputed metadata: {_look(tensor)}\n"
            for i, (look, tensor) in enumerate(zip(self.looks, found, strict=True))
            if look != _look(tensor)
        ]
        if differing:
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than during "
                "the forward pass.\n" + "".join(differing) + "." + TIP
            )

    @contextmanager
    def logging(self, run: int) -> Iterator[None]:
        """With debug, note the operations of a run."""
        if not self.debug:
            yield
            return
        log = self.logs[run]
        log.clear()

        def note(node: Any, inputs: Any, results: Any) -> None:
            log.append(f"{node.name()} of {', '.join(str(list(getattr(x, 'shape', ()))) for x in inputs)}")

        observers.append(note)
        try:
            yield
        finally:
            observers.remove(note)

    def _listing(self) -> str:
        first, second = ("\n".join(f"  {line}" for line in log) for log in self.logs)
        return (
            f"\n\nOperations executed during the original forward:\n{first}\n\n"
            f"Operations executed during recomputation:\n{second}\n"
        )


def _look(tensor: Any) -> dict[str, Any]:
    return {"shape": tensor.shape, "dtype": tensor.dtype, "device": tensor.device}


CHECKS = ["default", "none"]


def _with_placeholders(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], preserve: bool, context_fn: Any, check: str,
    debug: bool, early_stop: bool,
) -> Any:  # fmt: skip
    if check not in CHECKS:
        raise ValueError(f"determinism_check should be one of {CHECKS}, but got {check}")
    first, again = context_fn()
    if not is_grad_enabled():
        return function(*args, **kwargs)
    around = _Around(preserve)

    def run() -> None:
        with around.again(), again:
            function(*args, **kwargs)

    frame = _Frame(
        run,
        early_stop if _settings.early_stop is None else _settings.early_stop,
        check == "default",
        debug if _settings.debug is None else _settings.debug,
    )
    with saved_tensors_hooks(frame.pack, frame.unpack), frame.logging(0), first:
        return function(*args, **kwargs)


# ---- the functions -----------------------------------------------------------------------------------------------------
def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: bool | None = None, context_fn: Callable[[], Any] = noop_context_fn,
    determinism_check: str = "default", debug: bool = False, early_stop: bool = True, **kwargs: Any,
) -> Any:  # fmt: skip
    """`function(*args, **kwargs)`, of which backward computes anew what it needs.

    preserve_rng_state (True): the random numbers are the same again. determinism_check: "default" compares shapes and types
    of what is computed anew, "none" does not. context_fn: two contexts, for the first run and for those in backward.
    early_stop: run again no further than needed. CheckpointError (in backward) where the function computes something else.
    """
    if use_reentrant is None:
        warnings.warn(NOT_GIVEN, stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if not use_reentrant:
        return _with_placeholders(
            function, args, kwargs, preserve, context_fn, determinism_check, debug, early_stop
        )
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if context_fn is not noop_context_fn or debug:
        raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
    return _as_one_node(function, preserve, args)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """A sequence of functions (or a Sequential) in so many parts, all but the last checkpointed."""
    if use_reentrant is None:
        warnings.warn(NOT_GIVEN_SEQUENTIAL, stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    steps = list(functions.children()) if isinstance(functions, Sequential) else list(functions)
    size = len(steps) // segments

    def part(some: Sequence[Any]) -> Callable[[Any], Any]:
        def run(value: Any) -> Any:
            for step in some:
                value = step(value)
            return value

        return run

    last = size * (segments - 1)
    for start in range(0, last, size):
        input = checkpoint(
            part(steps[start : start + size]), input, use_reentrant=use_reentrant, preserve_rng_state=preserve
        )
    return part(steps[last:])(input)


class CheckpointPolicy(enum.Enum):
    """What a selective checkpoint does with an operation's result."""

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4


def create_selective_checkpoint_contexts(
    policy_fn_or_list: Any, allow_cache_entry_mutation: bool = False
) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """Contexts for `context_fn`: everything is computed anew, whatever the policy would rather keep. Numbers are the same."""
    return noop_context_fn()


__all__ = [
    "CheckpointError", "CheckpointFunction", "CheckpointPolicy", "DefaultDeviceType", "check_backward_validity", "checkpoint",
    "checkpoint_sequential", "create_selective_checkpoint_contexts", "detach_variable", "get_device_states",
    "noop_context_fn", "set_checkpoint_debug_enabled", "set_checkpoint_early_stop", "set_device_states", "tree_map",
]  # fmt: skip
