"""Record what PyTorch draws: `python record_random.py` writes `random.json` beside this file.

Each case is an expression in `T` (PyTorch here, clew in the tests), evaluated after `T.manual_seed(SEED)`, what it gives
(all values, or a checksum of their bytes where they are many), and the next uniform number, which shows how far
the stream has moved.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import torch as T

SEED = 20260
MANY = 64

FLOATING = ("float16", "bfloat16", "float32", "float64")
INTEGRAL = ("bool", "uint8", "int8", "int16", "int32", "int64")
FILLS = (
    "uniform_()", "uniform_(-1.5, 2.7)", "uniform_(0.1, 0.3)", "normal_()", "normal_(1.3, 0.02)", "exponential_()",
    "exponential_(7)", "geometric_(0.3)", "cauchy_(0.5, 2)", "log_normal_(0.3, 0.7)", "bernoulli_(0.3)", "random_()",
    "random_(-5, 100)",
)  # fmt: skip
RANGES = (
    (0, 10),
    (-5, 5),
    (0, 2**28 - 1),
    (0, 2**28),
    (3, 2**29),
    (0, 2**32),
    (-(2**40), 2**50),
    (-(2**63), 2**63 - 1),
)
PROGRAMS = (
    *(f"T.empty({n}, dtype=T.{d}).{fill}" for d in FLOATING for fill in FILLS for n in (5, 37)),
    *(f"T.{f}({n}, dtype=T.{d})" for d in FLOATING for f in ("rand", "randn") for n in (15, 16, 17, 32, 1000)),
    *(f"T.empty(20, dtype=T.{d}).{fill}" for d in INTEGRAL for fill in ("random_()", "bernoulli_(0.3)")),
    *(f"T.randint({low}, {high}, (9,))" for low, high in RANGES),
    *(f"T.randperm({n})" for n in (0, 1, 2, 30, 5000)),
    *(f"T.multinomial(T.rand({shape}), {draws})" for shape, draws in (
        ("9", "1"), ("9", "9"), ("4, 30", "7"), ("9", "40, True"), ("4, 30", "7, True"), ("2000", "1000, True"))),
    *(f"T.bernoulli(T.rand(30, dtype=T.{d}))" for d in FLOATING),
    *(f"T.poisson(T.rand(30, dtype=T.{d}) * {rate})" for d in FLOATING for rate in (8, 100)),
    *(f"T._standard_gamma(T.rand({n}, dtype=T.{d}) * {most})" for d in FLOATING[2:] for n in (5, 40) for most in (1, 9)),
    *(f"T._sample_dirichlet(T.rand({n}, 3) * 4)" for n in (2, 20)),
    *(f"T.binomial(T.full(({n},), {trials}.0, dtype=T.{d}), T.rand({n}, dtype=T.{d}))"
      for d in FLOATING[2:] for n in (5, 40) for trials in (8, 500)),
    # Many, which compiled loops draw.
    "T._standard_gamma(T.rand(40000) * 3)", "T._sample_dirichlet(T.rand(9000, 3) * 3)", "T.poisson(T.rand(30000) * 20)",
    "T.binomial(T.full((30000,), 40.0), T.rand(30000))", "T.randperm(200000)", "T.multinomial(T.rand(900, 7), 3, True)",
    *(f"T.view_as_real(T.randn({n}, dtype=T.{d}))" for n in (3, 11) for d in ("complex64", "complex128")),
    "T.rand(624)", "T.rand(625)", "T.rand(100003)", "T.randn(100003)", "T.randn(3, 5, 7)",
    "T.stack([T.randn(1), T.randn(1), T.randn(1)])", "T.cat([T.randn(3), T.rand(2), T.randn(2)])",
    "T.normal(T.arange(20.0), T.arange(20.0) / 10)", "T.normal(1.5, 0.1, (20,))",
    "T.nn.functional.dropout(T.ones(50), 0.3)", "T.nn.init.kaiming_uniform_(T.empty(6, 7))",
    "T.nn.init.xavier_normal_(T.empty(6, 7))", "T.nn.Linear(7, 5).weight.detach()", "T.nn.Linear(7, 5).bias.detach()",
    "T.nn.Conv2d(2, 3, 3).weight.detach()", "T.nn.Embedding(5, 6).weight.detach()",
)  # fmt: skip


def record(expression: str) -> dict[str, Any]:
    T.manual_seed(SEED)
    drawn = eval(expression, {"T": T})
    case: dict[str, Any] = {"expression": expression, "next": T.rand(1).item()}
    case["dtype"] = str(drawn.dtype).removeprefix("torch.")
    if drawn.numel() <= MANY:
        case["values"] = drawn.tolist()
    else:
        case["crc32"] = zlib.crc32(drawn.contiguous().view(T.uint8).numpy().tobytes())
    return case


def main() -> None:
    target = Path(__file__).with_name("random.json")
    cases = [record(p) for p in PROGRAMS]
    T.manual_seed(SEED)
    T.randn(1001)
    states = {
        "fresh": zlib.crc32(T.Generator().manual_seed(SEED).get_state().numpy().tobytes()),
        "after randn(1001)": zlib.crc32(T.get_rng_state().numpy().tobytes()),
    }
    lines = ",\n".join(json.dumps(case) for case in cases)
    target.write_text(
        f'{{"torch": "{T.__version__}", "seed": {SEED}, "states": {json.dumps(states)}, "cases": [\n{lines}\n]}}\n'
    )


if __name__ == "__main__":
    main()
