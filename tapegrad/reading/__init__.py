"""A tape as text: listed, and told with its numbers."""
