"""A tape as a picture: what is drawn, where it stands, and the drawing."""
