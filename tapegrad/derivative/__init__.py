"""Tape -> Tape: the reverse part, the tangent part, many points at once; rules in `ops` say of what they are made."""
