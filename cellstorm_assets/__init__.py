"""Dagster assets, MLflow tracking and the command line of cellstorm."""
