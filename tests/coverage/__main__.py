"""`scripts/coverage`: the names that public PyTorch programs use, and the share of programs whose every name clew has.

`program_names.json` lists 1,030 programs by the names they use; `api_frequency.csv` counts 1,890 names over 6,996 files.
Names that PyTorch 2.13 itself does not have are left out of both counts.
"""

from __future__ import annotations

import argparse
import csv
import functools
import importlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import clew

HERE = Path(__file__).parent


def resolve(path: str) -> Any:
    """The object at a dotted path below clew, importing rooms on the way. AttributeError where there is none."""
    found: Any = clew
    done = "clew"
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            try:
                found = importlib.import_module(f"{done}.{part}")
            except ImportError:
                raise AttributeError(path) from None
        done = f"{done}.{part}"
    return found


def objects() -> list[Any]:
    """What `obj.x()` may be a method of: modules, optimizers, schedulers, loaders, distributions."""
    net = clew.nn.Linear(1, 1)
    optimizer = clew.optim.Adam(net.parameters())
    made = [
        net,
        optimizer,
        clew.optim.lr_scheduler.StepLR(optimizer, 1),
        clew.nn.Sequential(net),
        clew.nn.ModuleList([net]),
    ]
    for path, make in (
        ("utils.data.DataLoader", lambda kind: kind([1])),
        ("utils.data.Dataset", lambda kind: kind()),
        ("distributions.Normal", lambda kind: kind(0.0, 1.0)),
        ("distributions.Categorical", lambda kind: kind(clew.ones(2))),
        ("nn.utils.parametrize.ParametrizationList", lambda kind: kind),
        ("Generator", lambda kind: kind()),
        ("nn.MultiheadAttention", lambda kind: kind(2, 1)),
    ):
        try:
            made.append(make(resolve(path)))
        except AttributeError:
            continue
    return made


@functools.cache
def has(name: str) -> bool:
    """Whether clew has a name of the lists."""
    plain = name.removesuffix("()")
    try:
        if plain.startswith("Tensor."):
            getattr(clew.Tensor, plain.removeprefix("Tensor."))
        elif plain.startswith("obj.dist."):
            getattr(resolve("distributions.Distribution"), plain.removeprefix("obj.dist."))
        elif plain.startswith("obj."):
            part = plain.removeprefix("obj.")
            return any(hasattr(thing, part) for thing in objects())
        else:
            resolve(plain.removeprefix("torch."))
    except AttributeError:
        return hasattr(clew.ones(1), plain.removeprefix("Tensor.")) if plain.startswith("Tensor.") else False
    return True


def not_pytorchs() -> set[str]:
    """The names of the table that PyTorch 2.13 does not have."""
    with open(HERE / "api_frequency.csv", newline="") as file:
        return {row["name"] for row in csv.DictReader(file) if row["in_torch_2.13"] == "no"}


def programs(unknown: set[str]) -> tuple[int, int, Counter[str]]:
    """How many programs have every name, of how many; and how many programs lack each name."""
    data = json.loads((HERE / "program_names.json").read_text())
    complete, lacking = 0, Counter[str]()
    files = [[name for i in file if (name := data["names"][i]) not in unknown] for file in data["files"]]
    for names in files:
        missing = [name for name in names if not has(name)]
        complete += not missing
        lacking.update(missing)
    return complete, len(files), lacking


def main() -> int:
    """Exit status 0."""
    parser = argparse.ArgumentParser(prog="scripts/coverage", description=__doc__)
    parser.add_argument("-n", type=int, default=40, help="how many of the missing names to print")
    parser.add_argument(
        "--all", action="store_true", help="also the names of the table that are missing, by use"
    )
    options = parser.parse_args()
    unknown = not_pytorchs()
    complete, count, lacking = programs(unknown)
    print(f"programs whose every name clew has: {complete} of {count} ({complete / count:.1%})")
    for name, uses in lacking.most_common(options.n):
        print(f"  {uses:4} programs want {name}")
    with open(HERE / "api_frequency.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["in_torch_2.13"] == "yes"]
    missing = [row for row in rows if not has(row["name"])]
    print(f"names of the table that clew has: {len(rows) - len(missing)} of {len(rows)}")
    for row in missing if options.all else missing[: options.n]:
        print(f"  {row['repos']:>4} repositories use {row['name']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
