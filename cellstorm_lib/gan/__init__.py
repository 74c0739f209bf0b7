"""Networks that undo what camera and codec did: training, checkpoints, denoising."""
