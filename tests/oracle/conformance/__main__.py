"""`scripts/conformance`: every operator against PyTorch's samples; writes docs/conformance.md and the record."""

from __future__ import annotations

import argparse
import multiprocessing
import re
import sys
import warnings

from conformance import report
from conformance.entries import LEFT_OUT, database
from conformance.runs import COLUMNS


def run(job: tuple[str, tuple[str, ...]]) -> tuple[str, dict[str, str | None]]:
    """All columns of one entry."""
    name, columns = job
    warnings.simplefilter("ignore")
    op = database()[name]
    return name, {column: COLUMNS[column](op) for column in columns}


def main() -> int:
    """Exit status 1 where an entry no longer agrees that did."""
    parser = argparse.ArgumentParser(prog="scripts/conformance", description=__doc__)
    parser.add_argument("entries", nargs="*", help="regular expressions for whole names; default: all")
    parser.add_argument("-c", "--columns", default=",".join(COLUMNS), help="comma-separated")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("-v", "--verbose", action="store_true", help="print every difference")
    parser.add_argument(
        "--random", action="store_true", help="write the section on random functions, no more"
    )
    options = parser.parse_args()
    if options.random:
        report.write_streams()
        return 0
    columns = tuple(options.columns.split(","))
    names = [
        name
        for name in database()
        if name not in LEFT_OUT
        and (not options.entries or any(re.fullmatch(e, name) for e in options.entries))
    ]
    whole = not options.entries and columns == tuple(COLUMNS)
    jobs = [(name, columns) for name in names]
    if options.jobs > 1 and len(jobs) > 4:
        with multiprocessing.Pool(options.jobs, maxtasksperchild=40) as pool:
            results = dict(pool.imap_unordered(run, jobs, chunksize=4))
    else:
        results = dict(map(run, jobs))
    results = {name: results[name] for name in names}
    if options.verbose or not whole:
        report.show(results)
    print(report.totals(results))
    lost = report.lost(results)
    for name, column, reason in lost:
        print(f"lost: {name}, {column}: {reason}")
    if whole and not lost:
        report.write(results)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
