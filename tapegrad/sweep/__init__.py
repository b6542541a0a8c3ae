"""Runs Programs: the kernels, the workspace they write to, the one module that calls them."""
