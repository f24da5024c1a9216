"""Storages and the older corners of tensors beside PyTorch's."""

from __future__ import annotations

import pytest
from both import collect, same

torch = pytest.importorskip("torch")
KINDS = ["float32", "float64", "float16", "bfloat16", "int64", "uint8", "bool", "complex64"]


@pytest.fixture(autouse=True)
def _told():
    """PyTorch warns of typed storages once only."""
    import warnings

    import clew

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for t in (torch, clew):
            t.ones(1).storage()


def p_bytes(t):
    x = t.arange(6.0).view(2, 3)
    u = x.untyped_storage()
    sizes = u.nbytes(), u.size(), len(u), u.element_size(), u.data_ptr() == x.data_ptr(), x[1].untyped_storage().data_ptr() == x.data_ptr()  # fmt: skip
    places = str(u.device), u.is_cuda, u.is_shared(), u.is_pinned(), u.type()
    u[3] = 64
    return sizes, places, u.tolist(), list(u)[:5], u[0:8].tolist(), u[-1], x, repr(u), u.cpu() is u


def p_the_same_bytes(t):
    x = t.ones(3)
    u = x.untyped_storage()
    copy = u.clone()
    copy.fill_(0)
    seen = u == x[1:].untyped_storage(), copy == u, len({u, x.untyped_storage()}), x
    return *seen, u.copy_(copy).tolist(), x


def p_elements(t):
    x = t.arange(6.0).view(2, 3)
    s = x[1].storage()
    s[0] = 9
    seen = (
        s.size(),
        len(s),
        s.nbytes(),
        str(s.dtype),
        s.data_ptr() == x.data_ptr(),
        s[1],
        s[-1],
        s.tolist(),
        list(s),
    )
    more = s.element_size(), s.is_cuda, s.type(), s.is_shared(), s.pickle_storage_type(), repr(s), x
    return (
        seen,
        more,
        s.int().tolist(),
        str(s.double().dtype),
        s.clone().tolist(),
        s.untyped().nbytes(),
        s.fill_(2).tolist(),
        x,
    )


def p_slices_of_elements(t):
    return t.ones(3).storage()[1:2]


def p_new(t):
    return (
        t.UntypedStorage(4).nbytes(), t.UntypedStorage().size(), t.FloatStorage([1, 2, 3]).tolist(), t.FloatStorage(2).size(),
        repr(t.LongStorage([1])), t.TypedStorage([1.5], dtype=t.float64).type(),
    )  # fmt: skip


def p_storages(t):
    x = t.ones(2)
    return [
        t.is_storage(y) for y in (x, x.untyped_storage(), x.storage())
    ], x.storage_type() is t.FloatStorage


def p_set(t):
    x, y = t.zeros(2), t.arange(6.0)
    x.set_(y.untyped_storage(), 1, (2, 2), (2, 1))
    y[1] = 9
    z = t.zeros(1).set_(y)
    return x, z, t.zeros(1).set_(t.FloatStorage([5, 6])), t.zeros(3).set_()


def p_device(t):
    return t.ones(2).get_device(), t.get_device(t.ones(2))


def p_volatile(t):
    x = t.ones(2)
    x.volatile = True
    return x.volatile


def p_fill_diagonal(t):
    x = t.zeros(3, 3, requires_grad=True)
    y = (x * 2).fill_diagonal_(5)
    y.sum().backward()
    shapes = [
        t.zeros(3, 4).fill_diagonal_(5),
        t.zeros(7, 3).fill_diagonal_(5, wrap=True),
        t.zeros(2, 2, 2).fill_diagonal_(1),
    ]
    return y, x.grad, shapes, t.zeros(7, 3).fill_diagonal_(5), t.zeros(4, 3).fill_diagonal_(5, wrap=True)


def p_fill_diagonal_of_a_vector(t):
    t.zeros(3).fill_diagonal_(1)


def p_fill_diagonal_of_unequal_sizes(t):
    t.zeros(3, 2, 3).fill_diagonal_(1)


def p_older_loss(t):
    loss = t.nn.NLLLoss2d()
    return repr(loss), loss(t.ones(2, 3), t.tensor([0, 1]))


@collect(globals())
def test_programs(program):
    same(program)


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind):
    def program(t):
        s = t.ones(2, dtype=getattr(t, kind)).storage()
        return s.tolist(), s.type(), repr(s), s.nbytes()

    same(program)
