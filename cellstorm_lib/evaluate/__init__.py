"""How good a table is, against the truth and without it."""
