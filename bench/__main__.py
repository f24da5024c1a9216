"""`scripts/bench [name ...]`: measure clew against PyTorch, show one table, write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
BENCHMARKS = {  # name: module and function
    "lab2": "labs.run_lab2",
    "lab4": "labs.run_lab4",
    "net": "nets.run_net",
    "digits": "nets.run_digits",
    "large": "large.run_large",
    "compiled": "compiled.run_compiled",
    "limits": "limits.run_limits",
    "peers": "peers.run_peers",
    "import": "imports.run_import",
    "chain": "chain.run_chain",
    "overhead": "overhead.run_overhead",
    "doctor": "doctor.run_doctor",
    "memory": "memory.run_memory",
    "growth": "growth.run_growth",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"which: {', '.join(BENCHMARKS)} (default: all)"
    )
    names = parser.parse_args().names
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    sys.path.insert(0, str(ROOT / "src"))  # the clew of this tree, whichever is installed
    try:
        import torch  # noqa: F401
    except ImportError:
        parser.error("PyTorch is needed to compare with: pip install torch==2.13.0")
    from report import Findings, note, page

    found = Findings()
    for name in names or BENCHMARKS:
        note(f"{name} …")
        module, function = BENCHMARKS[name].split(".")
        found.add(getattr(import_module(module), function)())
    text = page(found)
    print(text)
    if not names:
        PAGE.write_text(text, encoding="utf-8")
        note(f"written to {PAGE.relative_to(ROOT)}")
    for row in found.missed:
        note(f"bar not met: {row.work}: {row.ratio}, wanted {row.bar}")
    return 1 if found.missed else 0


if __name__ == "__main__":
    sys.exit(main())
