"""Recorded functions: tapes that can be called, read, drawn and saved."""
