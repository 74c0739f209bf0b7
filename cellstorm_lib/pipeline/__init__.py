"""One recording from file to result, without any server."""
