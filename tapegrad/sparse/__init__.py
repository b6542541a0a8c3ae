"""Sparse derivatives: which entries may be nonzero, which columns share a sweep, and how results are put in place."""
