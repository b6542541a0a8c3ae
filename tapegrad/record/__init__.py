"""f -> Tape: Variables under NumPy functions and operators append instructions."""
