"""The named tuples that operations with several results return: `torch.return_types.max(values=…,
indices=…)`."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any, ClassVar


class Results(tuple[Any, ...]):
    """A tuple whose fields have names; it unpacks, indexes and compares like a tuple and prints like
    PyTorch's."""

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()
    n_fields: ClassVar[int] = 0
    n_sequence_fields: ClassVar[int] = 0
    n_unnamed_fields: ClassVar[int] = 0

    def __new__(cls, values: Iterable[Any]) -> Results:
        values = tuple(values)
        if len(values) != cls.n_fields:
            raise TypeError(
                f"torch.return_types.{cls.__name__}() takes a {cls.n_fields}-sequence "
                f"({len(values)}-sequence given)"
            )
        return super().__new__(cls, values)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).__match_args__:
            raise AttributeError("readonly attribute")
        raise AttributeError(f"'torch.return_types.{type(self).__name__}' object has no attribute '{name}'")

    def __repr__(self) -> str:
        fields = ",\n".join(
            f"{name}={value!r}" for name, value in zip(self.__match_args__, self, strict=True)
        )
        return f"torch.return_types.{type(self).__name__}(\n{fields})"

    def __reduce__(self) -> Any:
        return type(self), (tuple(self),)


def _named(name: str, fields: str) -> type[Results]:
    names = tuple(fields.split())
    body: dict[str, Any] = {n: property(itemgetter(i)) for i, n in enumerate(names)}
    body |= {"__slots__": (), "__match_args__": names, "__module__": __name__, "__qualname__": name}
    body |= {"n_fields": len(names), "n_sequence_fields": len(names)}
    return type(name, (Results,), body)


max = _named("max", "values indices")
min = _named("min", "values indices")
median = _named("median", "values indices")
nanmedian = _named("nanmedian", "values indices")
mode = _named("mode", "values indices")
cummax = _named("cummax", "values indices")
cummin = _named("cummin", "values indices")
sort = _named("sort", "values indices")
topk = _named("topk", "values indices")
kthvalue = _named("kthvalue", "values indices")
aminmax = _named("aminmax", "min max")
frexp = _named("frexp", "mantissa exponent")
histogram = _named("histogram", "hist bin_edges")
histogramdd = _named("histogramdd", "hist bin_edges")
geqrf = _named("geqrf", "a tau")
qr = _named("qr", "Q R")
svd = _named("svd", "U S V")
slogdet = _named("slogdet", "sign logabsdet")
lu_unpack = _named("lu_unpack", "P L U")
triangular_solve = _named("triangular_solve", "solution cloned_coefficient")
linalg_cholesky_ex = _named("linalg_cholesky_ex", "L info")
linalg_eig = _named("linalg_eig", "eigenvalues eigenvectors")
linalg_eigh = _named("linalg_eigh", "eigenvalues eigenvectors")
linalg_inv_ex = _named("linalg_inv_ex", "inverse info")
linalg_ldl_factor = _named("linalg_ldl_factor", "LD pivots")
linalg_ldl_factor_ex = _named("linalg_ldl_factor_ex", "LD pivots info")
linalg_lstsq = _named("linalg_lstsq", "solution residuals rank singular_values")
linalg_lu = _named("linalg_lu", "P L U")
linalg_lu_factor = _named("linalg_lu_factor", "LU pivots")
linalg_lu_factor_ex = _named("linalg_lu_factor_ex", "LU pivots info")
linalg_qr = _named("linalg_qr", "Q R")
linalg_slogdet = _named("linalg_slogdet", "sign logabsdet")
linalg_solve_ex = _named("linalg_solve_ex", "result info")
linalg_svd = _named("linalg_svd", "U S Vh")
