"""Parametrisations: weights of a given length, with largest singular value 1, orthogonal."""

from __future__ import annotations

from typing import Any, TypeVar

from clew.autograd.grad_mode import no_grad
from clew.core.variable import Variable
from clew.nn.module import Module
from clew.nn.utils._matrix import as_matrix, norm_except, normalized, random_directions, scaled
from clew.nn.utils.parametrize import register_parametrization
from clew.nn.utils.spectral_normalization import check_iterations, default_dim
from clew.ops.create import eye
from clew.ops.inquiry import finfo
from clew.ops.join import cat
from clew.ops.qr import geqrf, householder_product
from clew.ops.solve import matrix_exp
from clew.ops.solve import solve as solve_system

M = TypeVar("M", bound=Module)


class _WeightNorm(Module):
    """w = v · g / ‖v‖ of g (`original0`) and v (`original1`)."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Any, weight_v: Any) -> Any:
        return scaled(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        """g = ‖w‖, v = w."""
        return norm_except(weight, self.dim), weight


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """w = v · g / ‖v‖: train length and direction apart (Salimans and Kingma 2016). dim: one length for each slice along it.

    state_dicts of the older `nn.utils.weight_norm` (name_g, name_v) can be loaded.
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def renamed(state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        old = [f"{prefix}{name}_g", f"{prefix}{name}_v"]
        if all(key in state_dict for key in old):
            for i, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(renamed)
    return module


class _SpectralNorm(Module):
    """W / σ(W), σ = uᵀ W v with u and v from power iterations; a vector is divided by its length."""

    def __init__(self, weight: Any, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        ndim = weight.dim()
        if not -ndim <= dim < ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] but got {dim})"
            )
        check_iterations(n_power_iterations)
        self.dim = dim if dim >= 0 else dim + ndim
        self.eps = eps
        if ndim > 1:
            self.n_power_iterations = n_power_iterations
            with no_grad():
                matrix = as_matrix(weight, self.dim)
                u, v = random_directions(matrix, eps)
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)
            self._power_method(matrix, 15)

    def _power_method(self, matrix: Any, count: int) -> None:
        with no_grad():
            for _ in range(count):
                self._u.copy_(normalized(matrix.mv(self._v), dim=0, eps=self.eps))
                self._v.copy_(normalized(matrix.H.mv(self._u), dim=0, eps=self.eps))

    def forward(self, weight: Any) -> Any:
        if weight.dim() == 1:
            return normalized(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # the graph keeps these; the next forward writes the buffers
        return weight / u.vdot(matrix.mv(v))

    def right_inverse(self, value: Any) -> Any:
        """The value itself: the parametrised tensor is it up to its scale."""
        return value


def _tensor(module: Any, name: str) -> Any:
    value = getattr(module, name, None)
    if not isinstance(value, Variable):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return value


def spectral_norm(
    module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> M:
    """W / σ(W), σ the largest singular value (Miyato et al. 2018). dim: that of the outputs."""
    weight = _tensor(module, name)
    if dim is None:
        dim = default_dim(module)
    register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
    return module


# ---- orthogonal matrices ---------------------------------------------------------------------------------------------------
def _orthogonalized(matrix: Any) -> Any:
    """Q of A = Q R, with the signs that make R's diagonal positive."""
    packed, tau = geqrf(matrix)
    return householder_product(packed, tau) * packed.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


def _is_orthogonal(matrix: Any) -> bool:
    """Whether QᴴQ = 1, to rounding."""
    n, k = matrix.size(-2), matrix.size(-1)
    identity = eye(k, dtype=matrix.dtype)
    return bool((matrix.mH @ matrix).allclose(identity, atol=10 * n * finfo(matrix.dtype).eps))


class _Orthogonal(Module):
    """An orthogonal matrix from a free one, by the matrix exponential, Cayley's map or Householder's reflections.

    With a trivialisation (Lezcano-Casado 2019) it is `base` times the map of the parameter, which starts at the identity.
    """

    base: Any

    def __init__(self, weight: Any, orthogonal_map: str, *, use_trivialization: bool = True) -> None:
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Any) -> Any:
        wide = X.size(-2) < X.size(-1)
        if wide:
            X = X.mT
        result = self._reflected(X) if self.orthogonal_map == "householder" else self._rotated(X)
        if hasattr(self, "base"):
            result = self.base @ result
        return result.mT if wide else result

    def _rotated(self, X: Any) -> Any:
        """The first columns of exp(A) or of (1 + A/2)(1 − A/2)⁻¹, A = L − Lᴴ of the lower triangle."""
        n, k = X.size(-2), X.size(-1)
        lower = X.tril()
        if n != k:
            lower = cat([lower, X.new_zeros(n, n - k).expand(*X.shape[:-2], -1, -1)], dim=-1)
        skew = lower - lower.mH
        if self.orthogonal_map == "matrix_exp":
            full = matrix_exp(skew)
        else:
            identity = eye(n, dtype=skew.dtype)
            full = solve_system(identity - 0.5 * skew, identity + 0.5 * skew)
        return full if n == k else full[..., :k]

    def _reflected(self, X: Any) -> Any:
        """The product of the reflections whose vectors stand below the diagonal, with the signs on it."""
        lower = X.tril(diagonal=-1)
        tau = 2.0 / (1.0 + (lower * lower).sum(dim=-2))
        return householder_product(lower, tau) * X.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)

    def right_inverse(self, Q: Any) -> Any:
        """What the map makes a matrix with orthogonal columns of (one that has not is made orthogonal first)."""
        if Q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {Q.shape}."
            )
        wide = Q.size(-2) < Q.size(-1)
        if wide:
            Q = Q.mT
        result = self._started(Q) if hasattr(self, "base") else self._packed(Q)
        return result.mT if wide else result

    def _packed(self, Q: Any) -> Any:
        if self.orthogonal_map != "householder":
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                "use_trivialization=False."
            )
        packed, tau = geqrf(Q)
        signs = packed.diagonal(dim1=-2, dim2=-1)
        signs.sign_()
        signs[tau == 0.0] *= -1  # no reflection there, while the map above makes one
        return packed

    def _started(self, Q: Any) -> Any:
        n, k = Q.size(-2), Q.size(-1)
        if n == k:
            self.base = Q.clone() if _is_orthogonal(Q) else _orthogonalized(Q)
        else:
            more = Q.new_empty(*Q.shape[:-2], n, n - k).normal_()
            self.base = _orthogonalized(cat([Q, more], dim=-1))
        start = Q.new_zeros(Q.shape)
        start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
        return start


_MAPS = "matrix_exp", "cayley", "householder"


def orthogonal(
    module: M, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> M:
    """A matrix with orthonormal columns (or rows, where it is wide). orthogonal_map: how it is made of free parameters.

    Default: the matrix exponential for square and complex ones, else Householder's reflections. ValueError for vectors.
    """
    weight = _tensor(module, name)
    if weight.dim() < 2:
        raise ValueError(
            f"Expected a matrix or batch of matrices. Got a tensor of {weight.dim()} dimensions."
        )
    if orthogonal_map is None:
        square = weight.size(-2) == weight.size(-1)
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in _MAPS:
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    rule = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    register_parametrization(module, name, rule, unsafe=True)
    return module


__all__ = ["orthogonal", "spectral_norm", "weight_norm"]
