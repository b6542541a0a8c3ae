"""Functions of the user's as ops: `elementwise` and `primitive`."""
