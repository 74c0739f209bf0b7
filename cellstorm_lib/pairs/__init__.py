"""Pairs of degraded and true frames, from which a denoiser learns."""
