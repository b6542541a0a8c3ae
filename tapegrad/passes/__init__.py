"""Tape -> Tape: fold constants, share common subexpressions, shorten chains, orient products, drop the dead."""
