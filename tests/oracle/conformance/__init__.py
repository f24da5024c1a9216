"""Every operator against PyTorch's own samples (`op_db`): `scripts/conformance`, and the tests beside it.

translate: a sample, or the function under test, from PyTorch into clew. entries: the operators and what is left out.
runs: what is compared, one function per column of the page. report: the page, and the record that may not be lost.
"""
