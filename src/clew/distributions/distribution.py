"""What every distribution has: `torch.distributions.Distribution`."""

from __future__ import annotations

import warnings
from typing import Any

from clew.autograd.grad_mode import no_grad
from clew.distributions import constraints
from clew.distributions.utils import lazy_property
from clew.ops.elementwise import exp
from clew.size import Size
from clew.tensor import Tensor

__all__ = ["Distribution"]

_NONE = Size()


class Distribution:
    """A batch of distributions of one family.

    Its samples have the shape `sample_shape + batch_shape + event_shape`: batch_shape counts distributions with
    parameters of their own, event_shape is the shape of one draw from one of them.

    Errors: ValueError for parameters outside `arg_constraints`, and for values outside the support, unless
    `validate_args` is False (or Python runs with -O).
    """

    has_rsample: Any = False
    has_enumerate_support: Any = False
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions made from now on check their arguments. ValueError for what is not a bool."""
        if value not in (True, False):
            raise ValueError
        Distribution._validate_args = value

    def __init__(
        self, batch_shape: Any = _NONE, event_shape: Any = _NONE, validate_args: bool | None = None
    ) -> None:
        self._batch_shape = batch_shape
        self._event_shape = event_shape
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_arguments()
        super().__init__()

    def _check_arguments(self) -> None:
        try:
            arg_constraints = self.arg_constraints
        except NotImplementedError:
            arg_constraints = {}
            warnings.warn(
                f"{self.__class__} does not define `arg_constraints`. Please set `arg_constraints = {{}}` or initialize "
                "the distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
        for name, constraint in arg_constraints.items():
            if constraints.is_dependent(constraint):
                continue
            if name not in self.__dict__ and isinstance(_class_attribute(type(self), name), lazy_property):
                continue  # the other way of giving the parameters; this one follows from it
            value = getattr(self, name)
            if not constraint.check(value).all():
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution "
                    f"{self!r} to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    # ---- what there is of it ---------------------------------------------------------------------
    @property
    def batch_shape(self) -> Any:
        """How many distributions, in which shape."""
        return self._batch_shape

    @property
    def event_shape(self) -> Any:
        """The shape of one draw."""
        return self._event_shape

    @property
    def arg_constraints(self) -> dict[str, Any]:
        """The constraint of each parameter."""
        raise NotImplementedError

    @property
    def support(self) -> Any:
        """The constraint its values satisfy."""
        raise NotImplementedError

    @property
    def mean(self) -> Any:
        """E[x]."""
        raise NotImplementedError

    @property
    def mode(self) -> Any:
        """The value of highest probability or density."""
        raise NotImplementedError(f"{self.__class__} does not implement mode")

    @property
    def variance(self) -> Any:
        """E[(x - E[x])²]."""
        raise NotImplementedError

    @property
    def stddev(self) -> Any:
        """√variance."""
        return self.variance.sqrt()

    # ---- what it does ----------------------------------------------------------------------------
    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same with its parameters expanded to `batch_shape`."""
        raise NotImplementedError

    def sample(self, sample_shape: Any = ()) -> Any:
        """Draws of shape `sample_shape + batch_shape + event_shape`, without gradient."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Any:
        """Draws as a differentiable function of the parameters (the reparametrisation trick)."""
        raise NotImplementedError

    def sample_n(self, n: int) -> Any:
        """`sample((n,))`, deprecated."""
        warnings.warn(
            "`sample_n(n)` will be deprecated. Use `sample((n,))` instead.", FutureWarning, stacklevel=2
        )
        return self.sample(Size((n,)))

    def log_prob(self, value: Any) -> Any:
        """log p(value): of the density, or of the probability where values are discrete."""
        raise NotImplementedError

    def cdf(self, value: Any) -> Any:
        """P(x ≤ value)."""
        raise NotImplementedError

    def icdf(self, value: Any) -> Any:
        """The x with P(x' ≤ x) = value."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Any:
        """All values, along a new first dimension; with `expand=False` the batch dimensions have size one."""
        raise NotImplementedError

    def entropy(self) -> Any:
        """-E[log p(x)]."""
        raise NotImplementedError

    def perplexity(self) -> Any:
        """exp(entropy)."""
        return exp(self.entropy())

    # ---- for subclasses --------------------------------------------------------------------------
    def _extended_shape(self, sample_shape: Any = ()) -> Any:
        """sample_shape + batch_shape + event_shape."""
        return Size(tuple(sample_shape) + tuple(self._batch_shape) + tuple(self._event_shape))

    def _validate_sample(self, value: Any) -> None:
        """ValueError where `value` is no tensor, does not broadcast with the distribution, or leaves its support."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        first = value.dim() - len(self._event_shape)
        if value.shape[first:] != self._event_shape:
            raise ValueError(
                f"The right-most size of value must match event_shape: {value.shape} vs {self._event_shape}."
            )
        shape = tuple(self._batch_shape) + tuple(self._event_shape)
        for have, want in zip(reversed(value.shape), reversed(shape), strict=False):
            if have != 1 and want != 1 and have != want:
                raise ValueError(
                    f"Value is not broadcastable with batch_shape+event_shape: {value.shape} vs {Size(shape)}."
                )
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{self.__class__} does not define `support` to enable sample validation. Please initialize the "
                "distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
            return
        if not support.check(value).all():
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within the support "
                f"({support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def _get_checked_instance(self, cls: Any, _instance: Any = None) -> Any:
        """An empty instance for `expand` to fill: of this class, whose `__init__` must be the one `expand` knows."""
        if _instance is None and type(self).__init__ is not cls.__init__:
            raise NotImplementedError(
                f"Subclass {self.__class__.__name__} of {cls.__name__} that defines a custom __init__ method must also "
                "define a custom .expand() method."
            )
        return self.__new__(type(self)) if _instance is None else _instance

    def _expanded(
        self,
        cls: type[Distribution],
        batch_shape: Any,
        _instance: Any,
        event_shape: Any = _NONE,
        **tensors: Any,
    ) -> Any:
        """What `expand` of most families comes to: the attributes given, expanded already, on an instance that is not
        checked again."""
        new = self._get_checked_instance(cls, _instance)
        vars(new).update(tensors)
        super(cls, new).__init__(  # type: ignore[call-arg]
            Size(batch_shape), event_shape, validate_args=False
        )
        new._validate_args = self._validate_args
        return new

    def __repr__(self) -> str:
        shown = []
        for name in self.arg_constraints:
            if name in self.__dict__:
                value = self.__dict__[name]
                shown.append(f"{name}: {value if value.numel() == 1 else value.size()}")
        return f"{self.__class__.__name__}({', '.join(shown)})"


def _class_attribute(cls: type, name: str) -> Any:
    """The attribute as the class holds it, without asking a descriptor for its value."""
    for base in cls.__mro__:
        if name in vars(base):
            return vars(base)[name]
    raise AttributeError(f"type object '{cls.__name__}' has no attribute '{name}'")
