"""A microscope and a phone to simulate, with the truth beside the recording."""
