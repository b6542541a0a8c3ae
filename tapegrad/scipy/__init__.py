"""Functions of SciPy that record where they are given Variables; for arrays they are SciPy's own."""
