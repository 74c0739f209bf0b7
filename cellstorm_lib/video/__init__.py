"""Frames in and out of files: phone videos, image stacks, encoders."""
