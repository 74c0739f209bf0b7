"""From frames to fitted spots."""
