"""A simulated phone: molecules that blink, a camera that adds noise, and the exact truth."""
