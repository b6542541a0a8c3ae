"""Tape -> Program: which instruction runs how, and where every slot lies in memory."""
