"""The instruction set: one row an op; what is recorded, differentiated and run is derived from the rows."""
