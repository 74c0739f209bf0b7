"""What is known of the camera, measured or estimated."""
