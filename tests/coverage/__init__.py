"""Which names real programs use, and which of them clew has: `scripts/coverage`."""
