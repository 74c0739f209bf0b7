"""What other programs do to the same frames, from their published descriptions."""
