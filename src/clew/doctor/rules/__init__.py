"""The rules, one class for each mistake."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from clew.doctor.events import Rule

MODULES = (
    "accumulation",
    "cuts",  # before `optimizers`: a parameter whose way to the loss is cut needs no other explanation
    "optimizers",
    "missing",
    "graphs",
    "keeping",
    "modes",
    "losses",
    "values",
    "writes",
    "rates",
)


@cache
def all_rules() -> tuple[type[Rule], ...]:
    """Every rule, in the order in which a report of one line would name them."""
    found: list[type[Rule]] = []
    for name in MODULES:
        module = import_module(f"clew.doctor.rules.{name}")
        found += module.RULES
    return tuple(found)
