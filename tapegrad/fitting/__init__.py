"""Fits: a loss, parameters and data, until the parameters fit."""
