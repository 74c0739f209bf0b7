"""Figures of merit, measured: `python -m benchmarks [NAME...]`. Results are in RESULTS.md."""
