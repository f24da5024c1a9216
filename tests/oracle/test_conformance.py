"""What once agreed with PyTorch's own samples of an operator still does: the record of `scripts/conformance`."""

from __future__ import annotations

import warnings

import pytest

pytest.importorskip("torch")
pytest.importorskip("expecttest", reason="PyTorch's list of operators needs it")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from conformance import report, streams
    from conformance.entries import database
    from conformance.runs import COLUMNS

RECORD = report.record()


@pytest.mark.parametrize("name", RECORD)
def test_agrees_as_before(name):
    op = database()[name]
    lost = {column: reason for column in RECORD[name] if (reason := COLUMNS[column](op)) is not None}
    assert lost == {}


@pytest.mark.parametrize("name", streams.DRAWS)
def test_random_functions_draw_the_same_numbers(name):
    """Or the reason why not stands on the page."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = streams.outcome(streams.DRAWS[name])
    assert (found in (streams.SAMES, streams.ROUNDED)) != (name in streams.REASONS), found
