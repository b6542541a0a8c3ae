"""Programs as they are written for HIPS autograd: `tests/test_hips_programs.py` runs each with other imports, too."""
