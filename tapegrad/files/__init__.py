"""Tapes on disk: written, read back after everything in them has been checked, compared."""
