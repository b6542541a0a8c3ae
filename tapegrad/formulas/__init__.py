"""A tape as text of other languages: formulas, and Python that runs without tapegrad."""
