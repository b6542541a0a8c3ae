"""Tape -> Tape: the reverse part, the tangent part; both by copying templates made by the rules in `ops`."""
