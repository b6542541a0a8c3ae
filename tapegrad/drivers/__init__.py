"""The public face: derivatives of functions, and the recordings kept for them."""
