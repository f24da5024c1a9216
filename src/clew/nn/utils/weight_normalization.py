"""Weight normalisation, the older way: w = v · g / ‖v‖ before each forward (Salimans and Kingma 2016)."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, TypeVar

from clew.nn.parameter import Parameter, is_lazy
from clew.nn.utils._hooked import check_alone, hang_on, take_off
from clew.nn.utils._matrix import norm_except, scaled

M = TypeVar("M")
DEPRECATED = (
    "`torch.nn.utils.weight_norm` is deprecated in favor of `torch.nn.utils.parametrizations.weight_norm`."
)


class WeightNorm:
    """The rule for one parameter: its length g and its direction v are parameters in its place."""

    label: ClassVar[str] = "weight_norm"

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Any) -> Any:
        """The weight of the module's g and v."""
        return scaled(getattr(module, f"{self.name}_v"), getattr(module, f"{self.name}_g"), self.dim)

    @staticmethod
    def apply(module: Any, name: str, dim: int | None) -> WeightNorm:
        """Put g and v in the place of a parameter."""
        warnings.warn(DEPRECATED, FutureWarning, stacklevel=3)
        check_alone(module, WeightNorm, name)
        rule = WeightNorm(name, dim)
        weight = getattr(module, name)
        if is_lazy(weight):
            raise ValueError(
                "The module passed to `WeightNorm` can't have uninitialized parameters. Make sure to run the dummy forward "
                "before applying weight normalization"
            )
        del module._parameters[name]
        module.register_parameter(f"{name}_g", Parameter(norm_except(weight, rule.dim).data))
        module.register_parameter(f"{name}_v", Parameter(weight.data))
        setattr(module, name, rule.compute_weight(module))
        hang_on(module, rule)
        return rule

    def remove(self, module: Any) -> None:
        """Make the weight a parameter again."""
        weight = self.compute_weight(module)
        for name in (self.name, f"{self.name}_g", f"{self.name}_v"):
            delattr(module, name)
        setattr(module, self.name, Parameter(weight.data))

    def __call__(self, module: Any, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Train a parameter's length (`name_g`, one for each slice along `dim`; None: one in all) and its direction (`name_v`)."""
    WeightNorm.apply(module, name, dim)
    return module


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Make it one parameter again; ValueError where `weight_norm` was not applied."""
    take_off(module, WeightNorm, name).remove(module)
    return module


__all__ = ["WeightNorm", "remove_weight_norm", "weight_norm"]
