"""Benchmarks of tapegrad: `python -m benchmarks` measures and draws, `pytest benchmarks` watches for regressions."""
