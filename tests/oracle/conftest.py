"""The helpers' assertions explain themselves like those of tests."""

import pytest

pytest.register_assert_rewrite("compare", "both", "outcome")
