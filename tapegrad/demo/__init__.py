"""The demo: a network of 100,000 parameters fitted to digits. `python -m tapegrad` runs it."""
