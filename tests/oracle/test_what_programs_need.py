"""Small things that public programs lean on, against PyTorch's."""

from typing import Any

import numpy as np
import pytest
from both import collect, same

torch = pytest.importorskip("torch")


# ---- old constructors, given arrays -------------------------------------------------------------------------------
def p_old_constructors_take_arrays(t: Any) -> Any:
    table, row = np.arange(6.0).reshape(2, 3), np.array([2, 3])
    return (
        t.FloatTensor(table),
        t.LongTensor(row),
        t.Tensor(row),
        t.zeros(1).new(table),
        t.DoubleTensor([row, row]),
    )


def p_an_array_without_dimensions_is_a_size(t: Any) -> Any:
    size = np.array(3)
    return (
        t.Tensor(size).shape,
        t.FloatTensor(size).shape,
        t.LongTensor(np.int64(2)).shape,
        t.zeros(1).new(size).shape,
    )


def p_a_numpy_float_is_no_sequence(t: Any) -> Any:
    t.FloatTensor(np.float32(3))


def p_a_numpy_float_is_no_sequence_for_tensor(t: Any) -> Any:
    t.Tensor(np.float64(3))


# ---- numbers that require grad --------------------------------------------------------------------------------------
NUMBERS = {
    "full": lambda t, s: t.full((2,), s),
    "full_like": lambda t, s: t.full_like(t.ones(2), s),
    "new_full": lambda t, s: t.ones(2).new_full((2,), s),
    "arange": lambda t, s: t.arange(s),
    "add": lambda t, s: t.add(t.ones(2), t.ones(2), alpha=s),
    "sub": lambda t, s: t.sub(t.ones(2), t.ones(2), alpha=s),
    "addcmul": lambda t, s: t.addcmul(t.ones(2), t.ones(2), t.ones(2), value=s),
    "addmv": lambda t, s: t.addmv(t.ones(2), t.ones(2, 2), t.ones(2), beta=s),
    "normal_": lambda t, s: t.ones(2).normal_(0, s).shape,
    "uniform_": lambda t, s: t.ones(2).uniform_(0, s).shape,
}


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_tensor_as_a_number(name: str, learns: bool) -> None:
    same(lambda t: NUMBERS[name](t, t.tensor(2.0, requires_grad=learns)), warned=False)


def p_a_row_is_no_number(t: Any) -> Any:
    return t.full((2,), t.ones(2))


# ---- names of nodes -------------------------------------------------------------------------------------------------
def p_trapezoids_are_named(t: Any) -> Any:
    y = t.arange(5.0, requires_grad=True)
    areas = (
        t.trapezoid(y),
        t.trapezoid(y, dx=2.0),
        t.trapezoid(y, t.arange(5.0)),
        t.cumulative_trapezoid(y),
        t.cumulative_trapezoid(y, t.arange(5.0)),
    )
    return [(a, a.grad_fn.name()) for a in areas]


def p_trapezoids_of_few_samples(t: Any) -> Any:
    return t.trapezoid(t.arange(5)), t.trapezoid(t.ones(2, 0)), t.trapezoid(t.ones(2, 1))


# ---- loaders --------------------------------------------------------------------------------------------------------
def p_passes_of_a_loader_are_named(t: Any) -> Any:
    loader = t.utils.data.DataLoader(range(4))
    return type(iter(loader)).__name__


def p_roll_by_a_tensor(t: Any) -> Any:
    return t.arange(4).roll(t.tensor(1))


def p_roll_by_a_row_of_tensors(t: Any) -> Any:
    return t.arange(6).view(2, 3).roll((t.tensor(1), 1), (0, 1))


# ---- names that libraries import ----------------------------------------------------------------------------------------
def p_the_error_of_linear_algebra(t: Any) -> Any:
    try:
        t.linalg.inv(t.zeros(2, 2))
    except t._C._LinAlgError as error:
        return type(error).__name__, type(error) is t.linalg.LinAlgError


# ---- a few eigenpairs -----------------------------------------------------------------------------------------------------
def _matrix(t: Any, rows: int = 30) -> Any:
    t.manual_seed(0)
    half = t.randn(rows, rows, dtype=t.float64)
    return half @ half.T


def _pairs(t: Any, matrix: Any, **options: Any) -> Any:
    """Eigenvalues, and vectors but for their signs."""
    t.manual_seed(1)
    values, vectors = t.lobpcg(matrix, **options)
    return values, vectors * vectors[..., :1, :].sign(), t.rand(1)


def p_lobpcg(t: Any) -> Any:
    return _pairs(t, _matrix(t))[0]


def p_lobpcg_of_several(t: Any) -> Any:
    return [_pairs(t, _matrix(t), k=3, largest=largest)[::2] for largest in (True, False)]


def p_lobpcg_of_two_steps(t: Any) -> Any:
    return _pairs(t, _matrix(t), k=2, niter=2)


def p_lobpcg_beside_another_matrix(t: Any) -> Any:
    return _pairs(t, _matrix(t), k=2, B=2 * t.eye(30, dtype=t.float64))[0]


def p_lobpcg_of_a_batch(t: Any) -> Any:
    return _pairs(t, t.stack([_matrix(t), 2 * _matrix(t)]), k=2)[0]


def p_lobpcg_from_given_vectors(t: Any) -> Any:
    return _pairs(t, _matrix(t), X=t.eye(30, dtype=t.float64)[:, :2])[0]


def p_lobpcg_of_too_small_a_matrix(t: Any) -> Any:
    t.lobpcg(t.eye(5), k=2)


def p_lobpcg_of_no_square(t: Any) -> Any:
    t.lobpcg(t.ones(3, 4))


@collect(globals())
def test_what_programs_need(program: Any) -> None:
    same(program, warned=False)


# ---- norms to the last bit -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [256, 257, 1000, 9999, 30_001])
def test_norms_are_summed_in_pytorchs_order(n: int, dtype: str) -> None:
    import clew

    x = np.random.default_rng(n).standard_normal(n).astype(dtype)
    want, have = (m.linalg.vector_norm(m.from_numpy(x)).item() for m in (torch, clew))
    assert have == want
    want, have = (m.nn.utils.get_total_norm([m.from_numpy(x)]).item() for m in (torch, clew))
    assert have == want


def test_norms_of_transposed_matrices_are_summed_in_the_order_of_memory() -> None:
    import clew

    x = np.random.default_rng(0).standard_normal((100, 201)).astype("float32").T
    want, have = (m.linalg.vector_norm(m.from_numpy(x)).item() for m in (torch, clew))
    assert have == want


def test_lobpcg_has_a_gradient() -> None:
    import clew

    found = []
    for t in (torch, clew):
        matrix = _matrix(t).requires_grad_()
        values, vectors = _pairs(t, matrix, k=2)[:2]
        (values.sum() + (vectors**2)[0].sum()).backward()
        slope = matrix.grad.numpy()
        found.append(slope + slope.T)  # of a symmetric matrix only that much is determined
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-5)


# ---- memory of images -------------------------------------------------------------------------------------------------
LAYERS = {
    "convolution": lambda t: t.nn.Conv2d(3, 6, 3, padding=1),
    "of one group each": lambda t: t.nn.Conv2d(3, 3, 3, groups=3),
    "with steps": lambda t: t.nn.Conv2d(3, 4, 2, 2),
    "transposed": lambda t: t.nn.ConvTranspose2d(3, 4, 2),
    "largest": lambda t: t.nn.MaxPool2d(2),
    "mean": lambda t: t.nn.AvgPool2d(2),
}


@pytest.mark.parametrize("name", LAYERS)
def test_results_of_images_lie_in_memory_as_the_images(name: str) -> None:
    import clew

    found = []
    for t in (torch, clew):
        t.manual_seed(0)
        layer = LAYERS[name](t)
        image = t.randn(2, 4, 5, 3).movedim(-1, 1).requires_grad_()
        result = layer(image)
        dropped = t.nn.functional.dropout(result, 0.5)  # draws in the order of memory
        dropped.sum().backward()
        found.append(
            (
                result.stride(),
                layer(image.detach().contiguous()).stride(),
                dropped.detach().numpy(),
                image.grad.numpy(),
            )
        )
    want, have = found
    assert have[:2] == want[:2]
    for ours, theirs in zip(have[2:], want[2:], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_convolution_with_another_weight() -> None:
    def program(t: Any) -> Any:
        t.manual_seed(0)
        layer = t.nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular")
        return layer._conv_forward(t.ones(1, 2, 5, 5), 2 * layer.weight, None)

    same(program)


@pytest.mark.parametrize("pieces", [2, [1, 5]])
def test_split_by_name(pieces: Any) -> None:
    same(
        lambda t: [
            t.arange(6).split(split_size=pieces, dim=0),
            t.split(t.arange(6), split_size_or_sections=pieces),
        ]
    )


@pytest.mark.parametrize("size", [(2.5, 2), (2.5,), 2.5])
def test_sizes_are_whole(size: Any) -> None:
    same(lambda t: t.zeros(size))
