"""Real fits, each a module of its own: `python -m benchmarks.fits.NAME`."""
