"""A tape with its numbers: values, partials, contributions, adjoints, finite differences."""
