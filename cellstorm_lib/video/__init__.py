"""Recordings in and out: video files, stacks, and what the codec did to each frame."""
