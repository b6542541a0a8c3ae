"""Tape -> Tape: fold constants, share common subexpressions, orient products, drop the dead."""
