"""Derivatives of functions as values: `jacobian`, `hessian`, and their products with vectors.

All of them run on `autograd.grad`. A product J v, which reverse mode does not give directly, is the derivative of
u ↦ Jᵀ u, which is linear, in direction v (J. Townsend, "A new trick for calculating Jacobian vector products", 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from clew.autograd.backward import grad
from clew.autograd.grad_mode import enable_grad
from clew.core.modes import is_grad_enabled
from clew.core.variable import Variable

_OUTPUTS = "outputs of the user-provided function"
_INDEPENDENT_INPUT = "The output of the user-provided function is independent of input {i}. This is not allowed in strict mode."
_INDEPENDENT_JACOBIAN = (
    "The jacobian of the user-provided function is independent of input {i}. This is not allowed in strict mode when "
    "create_graph=True."
)
_LINEAR = (
    "While computing the hessian, found that the jacobian of the user-provided function with respect to input {i} is "
    "independent of the input. This is not allowed in strict mode. You should ensure that your function is twice "
    "differentiable and that the jacobian depends on the inputs (this would be violated by a linear function for example)."
)


# ---- arguments and results ------------------------------------------------------------------------------------------------
def _listed(value: Any, what: str, function: str) -> tuple[tuple[Any, ...], bool]:
    """The tensors of an argument, and whether they came as a tuple. TypeError for anything else."""
    several = isinstance(value, tuple)
    tensors = value if several else (value,)
    for i, tensor in enumerate(tensors):
        if not isinstance(tensor, Variable):
            which = f"the value at index {i}" if several else f"the given {what}"
            raise TypeError(
                f"The {what} given to {function} must be either a Tensor or a tuple of Tensors but {which} has type "
                f"{type(tensor)}."
            )
    return tensors, several


def _fresh(tensors: Sequence[Any], create_graph: bool) -> tuple[Any, ...]:
    """Copies to differentiate by, which hang on the originals only where the result is to be differentiated again."""
    return tuple(
        t.view_as(t) if create_graph and t.requires_grad else t.detach().requires_grad_() for t in tensors
    )


def _run(
    func: Callable[..., Any], inputs: tuple[Any, ...], function: str, strict: bool
) -> tuple[tuple[Any, ...], bool]:
    """The function's outputs, and whether they are a tuple."""
    outputs, several = _listed(func(*inputs), _OUTPUTS, function)
    if strict:
        _must_require(outputs)
    return outputs, several


def _must_require(outputs: Sequence[Any]) -> None:
    for i, output in enumerate(outputs):
        if not output.requires_grad:
            raise RuntimeError(
                f"Output {i} of the user-provided function does not require gradients. The outputs must be computed in a "
                "differentiable manner from the input when running in strict mode."
            )


def _scalar(outputs: Sequence[Any], several: bool, function: str) -> None:
    if several or not isinstance(outputs[0], Variable):
        raise RuntimeError(f"The function given to {function} should return a single Tensor")
    if outputs[0].numel() != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {function} should contain a single element"
        )


def _vectors(v: Any, like: Sequence[Any], several: bool, function: str, none: str) -> tuple[Any, ...]:
    """The vectors of a product: as given, with the shapes of `like`; 1 where `like` is a single number."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"The vector v can only be None if {none}.")
        return (like[0].detach().new_ones(like[0].shape),)
    vectors, _ = _listed(v, "v", function)
    if len(vectors) != len(like):
        if several:
            raise RuntimeError(
                f"v is a tuple of invalid length: should be {len(like)} but got {len(vectors)}."
            )
        raise RuntimeError("The given v should contain a single Tensor.")
    for i, (vector, tensor) in enumerate(zip(vectors, like, strict=True)):
        if vector.shape != tensor.shape:
            prefix = f"Entry {i} in " if several else ""
            raise RuntimeError(
                f"{prefix}v has invalid size: should be {tensor.shape} but got {vector.shape}."
            )
    return vectors


def _gradients(
    outputs: Sequence[Any], inputs: Sequence[Any], weights: Any = None, create_graph: bool = True
) -> list[Any]:
    """As `autograd.grad`, with None for what does not depend on the inputs."""
    weights = [None] * len(outputs) if weights is None else weights
    pairs = [(o, w) for o, w in zip(outputs, weights, strict=True) if o is not None and o.requires_grad]
    if not pairs:
        return [None] * len(inputs)
    roots, cotangents = zip(*pairs, strict=True)
    return list(
        grad(roots, inputs, cotangents, create_graph=create_graph, retain_graph=True, allow_unused=True)
    )


def _filled(
    found: Sequence[Any], like: Sequence[Any], strict: bool, create_graph: bool, why: str, result: str
) -> list[Any]:
    """Zeros for what is missing; in strict mode that is an error, as is a result without history where one is wanted."""
    filled = []
    for i, (value, tensor) in enumerate(zip(found, like, strict=True)):
        if value is None:
            if strict:
                raise RuntimeError(why.format(i=i))
            value = tensor.detach().new_zeros(tensor.shape)
        elif strict and create_graph and not value.requires_grad:
            raise RuntimeError(result.format(i=i))
        filled.append(value)
    return filled


def _done(values: Sequence[Any], several: bool, create_graph: bool) -> Any:
    made = tuple(v if create_graph else v.detach() for v in values)
    return made if several else made[0]


# ---- matrices ---------------------------------------------------------------------------------------------------------------
def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """J = ∂ func / ∂ inputs: for each output and input, a tensor of the output's shape followed by the input's.

    A tuple over outputs and over inputs where `func` returns, or `inputs` is, a tuple. create_graph: J can be
    differentiated. strict: RuntimeError where an output does not depend on an input (else zeros). vectorize and strategy
    are accepted; all results are worked out in reverse mode.
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs '
            'than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode" and create_graph:
        raise NotImplementedError(
            'torch.autograd.functional.jacobian: `create_graph=True` and `strategy="forward-mode"` are not supported '
            'together (yet). Please either set `create_graph=False` or `strategy="reverse-mode"`.'
        )
    if strategy == "forward-mode" and not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian isonly implemented for "
            "`vectorize=True`."
        )
    if strict and vectorize:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported together. Please "
            "either set `strict=False` or `vectorize=False`."
        )
    with enable_grad():
        given, many_inputs = _listed(inputs, "inputs", "jacobian")
        primals = _fresh(given, create_graph)
        outputs, many_outputs = _run(func, primals, "jacobian", strict)
        rows = [_jacobian_of(o, i, primals, create_graph, strict) for i, o in enumerate(outputs)]
    made = tuple(_done(row, many_inputs, create_graph) for row in rows)
    return made if many_outputs else made[0]


def _jacobian_of(
    output: Any, number: int, inputs: Sequence[Any], create_graph: bool, strict: bool
) -> list[Any]:
    """The Jacobians of one output, by one backward pass for each of its elements."""
    from clew.ops.join import stack

    columns: list[list[Any]] = [[] for _ in inputs]
    flat = output.reshape(-1)
    for k in range(flat.shape[0]):
        found = _gradients([flat[k]], inputs, create_graph=create_graph)
        found = _filled(
            found, inputs, strict, create_graph,
            f"Output {number} of the user-provided function is independent of input {{i}}. This is not allowed in strict "
            "mode.",
            _INDEPENDENT_JACOBIAN,
        )  # fmt: skip
        for column, value in zip(columns, found, strict=True):
            column.append(value)
    return [
        stack(column).reshape((*output.shape, *tensor.shape))
        if column
        else output.new_zeros((*output.shape, *tensor.shape))
        for column, tensor in zip(columns, inputs, strict=True)
    ]


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """H = ∂² func / ∂ inputs²: the Jacobian of the gradient of a function with a single number as its result.

    For a tuple of inputs, a tuple of tuples. The options are those of `jacobian`.
    """
    _, many = _listed(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')

    def scalar(*primals: Any) -> Any:
        outputs, several = _listed(func(*primals), _OUTPUTS, "hessian")
        if strict:
            _must_require(outputs)
        _scalar(outputs, several, "hessian")
        return outputs[0].squeeze()

    def gradient(*primals: Any) -> Any:
        found = _gradients([scalar(*primals)], primals)
        found = _filled(
            found, primals, strict, True, _INDEPENDENT_INPUT.replace("The output", "Output 0"), _LINEAR
        )
        return tuple(found) if many else found[0]

    return jacobian(
        gradient,
        inputs,
        create_graph=create_graph,
        strict=strict,
        vectorize=vectorize,
        strategy=outer_jacobian_strategy,
    )


# ---- products ---------------------------------------------------------------------------------------------------------------
def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> Any:
    """(func(inputs), vᵀ J): one backward pass. v has the shapes of the outputs; None for a single number."""
    with enable_grad():
        given, many_inputs = _listed(inputs, "inputs", "vjp")
        primals = _fresh(given, create_graph)
        outputs, many_outputs = _run(func, primals, "vjp", strict)
        vectors = _vectors(
            v,
            outputs,
            many_outputs,
            "vjp",
            "the user-provided function returns a single Tensor with a single element",
        )
    with _mode(create_graph):
        found = _gradients(outputs, primals, vectors, create_graph)
        found = _filled(
            found, primals, strict, create_graph, _INDEPENDENT_INPUT,
            _INDEPENDENT_JACOBIAN,
        )  # fmt: skip
    return _done(outputs, many_outputs, create_graph), _done(found, many_inputs, create_graph)


def _mode(create_graph: bool) -> Any:
    """Recording as the caller has it, and always for a result that is to be differentiated."""
    from clew.autograd.grad_mode import set_grad_enabled

    return set_grad_enabled(create_graph or is_grad_enabled())


def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> Any:
    """(func(inputs), J v), by two backward passes. v has the shapes of the inputs; None for a single number."""
    with enable_grad():
        given, many_inputs = _listed(inputs, "inputs", "jvp")
        primals = _fresh(given, create_graph)
        vectors = _vectors(
            v, primals, many_inputs, "jvp",
            "the input to the user-provided function is a single Tensor with a single element",
        )  # fmt: skip
        outputs, many_outputs = _run(func, primals, "jvp", strict)
        found = _along(outputs, primals, vectors, strict, create_graph)
    return _done(outputs, many_outputs, create_graph), _done(found, many_outputs, create_graph)


def _along(
    outputs: Sequence[Any], primals: Sequence[Any], vectors: Sequence[Any], strict: bool, create_graph: bool
) -> list[Any]:
    """J v: the gradient of u ↦ Jᵀ u, weighted with v."""
    weights = tuple(o.detach().new_zeros(o.shape).requires_grad_() for o in outputs)
    transposed = _gradients(outputs, primals, weights)
    if strict:
        for i, value in enumerate(transposed):
            if value is None:
                raise RuntimeError(_INDEPENDENT_INPUT.format(i=i))
    found = _gradients(transposed, weights, vectors, create_graph)
    return _filled(found, outputs, strict, create_graph, _INDEPENDENT_INPUT, _INDEPENDENT_JACOBIAN)


def vhp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> Any:
    """(func(inputs), vᵀ H) of a function with a single number as its result, by two backward passes."""
    return _hessian_product(func, inputs, v, create_graph, strict, "vhp")


def hvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> Any:
    """(func(inputs), H v). H is symmetric: this is `vhp`, by the route that takes one more pass in PyTorch."""
    return _hessian_product(func, inputs, v, create_graph, strict, "hvp")


def _hessian_product(func: Any, inputs: Any, v: Any, create_graph: bool, strict: bool, function: str) -> Any:
    with enable_grad():
        given, many = _listed(inputs, "inputs", function)
        primals = _fresh(given, create_graph)
        vectors = _vectors(
            v,
            primals,
            many,
            function,
            "the input to the user-provided function is a single Tensor with a single element",
        )
        outputs, several = _run(func, primals, function, strict)
        _scalar(outputs, several, function)
        first = _filled(
            _gradients(outputs, primals), primals, strict, True, _INDEPENDENT_INPUT,
            _LINEAR,
        )  # fmt: skip
        second = _gradients(first, primals, vectors, create_graph)
        made = _filled(
            second, primals, strict, create_graph, _INDEPENDENT_INPUT,
            "The hessian of the user-provided function is independent of input {i}. This is not allowed in strict mode when "
            "create_graph=True.",
        )  # fmt: skip
    return _done(outputs, several, create_graph), _done(made, many, create_graph)


__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]
