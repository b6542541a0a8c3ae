"""Calls of NumPy's functions, a table a family: what `tests/test_functions.py` goes through."""
