"""Tables of other programs, read and written."""
