"""From positions to an image and its resolution."""
