"""tapegrad beside other libraries, for `python -m benchmarks compare`: cases, peers, timing, reports."""
