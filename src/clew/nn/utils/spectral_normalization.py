"""Spectral normalisation, the older way: W / σ(W) before each forward (Miyato et al. 2018)."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from clew.autograd.grad_mode import no_grad
from clew.nn.layers.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from clew.nn.parameter import Parameter, is_lazy
from clew.nn.utils._hooked import check_alone, hang_on, take_off
from clew.nn.utils._matrix import as_matrix, normalized, random_directions

M = TypeVar("M")
TRANSPOSED = (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)


def default_dim(module: Any) -> int:
    """The dimension of the outputs."""
    return 1 if isinstance(module, TRANSPOSED) else 0


def check_iterations(count: int) -> None:
    """ValueError for no iterations."""
    if count <= 0:
        raise ValueError(f"Expected n_power_iterations to be positive, but got n_power_iterations={count}")


class SpectralNorm:
    """The rule for one parameter: σ(W) = uᵀ W v, with u and v from power iterations that go on in training."""

    _version = 1
    label: ClassVar[str] = "spectral_norm"

    def __init__(
        self, name: str = "weight", n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        self.name = name
        self.dim = dim
        check_iterations(n_power_iterations)
        self.n_power_iterations = n_power_iterations
        self.eps = eps

    def reshape_weight_to_matrix(self, weight: Any) -> Any:
        """The outputs' slices as rows."""
        return as_matrix(weight, self.dim)

    def compute_weight(self, module: Any, do_power_iteration: bool) -> Any:
        """W / σ(W); u and v move on where asked for."""
        weight, u, v = (getattr(module, f"{self.name}_{part}") for part in ("orig", "u", "v"))
        matrix = self.reshape_weight_to_matrix(weight)
        if do_power_iteration:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(normalized(matrix.t().mv(u), dim=0, eps=self.eps))
                    u.copy_(normalized(matrix.mv(v), dim=0, eps=self.eps))
                u, v = u.clone(), v.clone()  # the graph keeps these; the next forward writes the buffers
        return weight / u.dot(matrix.mv(v))

    @staticmethod
    def apply(module: Any, name: str, n_power_iterations: int, dim: int, eps: float) -> SpectralNorm:
        """Put `name_orig`, `name_u` and `name_v` in the place of a parameter."""
        check_alone(module, SpectralNorm, name)
        rule = SpectralNorm(name, n_power_iterations, dim, eps)
        weight = module._parameters[name]
        if weight is None:
            raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
        if is_lazy(weight):
            raise ValueError(
                "The module passed to `SpectralNorm` can't have uninitialized parameters. Make sure to run the dummy forward "
                "before applying spectral normalization"
            )
        with no_grad():
            u, v = random_directions(rule.reshape_weight_to_matrix(weight), eps)
        delattr(module, name)
        module.register_parameter(f"{name}_orig", weight)
        setattr(module, name, weight.data)  # what others, initialisers among them, still find under the name
        module.register_buffer(f"{name}_u", u)
        module.register_buffer(f"{name}_v", v)
        hang_on(module, rule)
        module._register_state_dict_hook(SpectralNormStateDictHook(rule))
        return rule

    def remove(self, module: Any) -> None:
        """Make the normalised weight a parameter again."""
        with no_grad():
            weight = self.compute_weight(module, do_power_iteration=False)
        for part in ("", "_u", "_v", "_orig"):
            delattr(module, self.name + part)
        module.register_parameter(self.name, Parameter(weight.detach()))

    def __call__(self, module: Any, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, do_power_iteration=module.training))


class SpectralNormStateDictHook:
    """Notes in a state_dict which version of the rule made it."""

    def __init__(self, fn: SpectralNorm) -> None:
        self.fn = fn

    def __call__(self, module: Any, state_dict: Any, prefix: str, local_metadata: dict[str, Any]) -> None:
        notes = local_metadata.setdefault("spectral_norm", {})
        key = f"{self.fn.name}.version"
        if key in notes:
            raise RuntimeError(f"Unexpected key in metadata['spectral_norm']: {key}")
        notes[key] = self.fn._version


def spectral_norm(
    module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> M:
    """Use W / σ(W) in place of a parameter W, σ its largest singular value. dim: that of the outputs."""
    SpectralNorm.apply(module, name, n_power_iterations, default_dim(module) if dim is None else dim, eps)
    return module


def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Make the normalised weight a parameter; ValueError where `spectral_norm` was not applied."""
    take_off(module, SpectralNorm, name).remove(module)
    hooks = module._state_dict_hooks  # type: ignore[attr-defined]
    for number, hook in list(hooks.items()):
        if isinstance(hook, SpectralNormStateDictHook) and hook.fn.name == name:
            del hooks[number]
    return module


__all__ = ["SpectralNorm", "SpectralNormStateDictHook", "remove_spectral_norm", "spectral_norm"]
