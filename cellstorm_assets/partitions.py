"""What there can be many of."""

import dagster as dg

RECORDINGS = dg.DynamicPartitionsDefinition(name="recording")
CAMERAS = dg.DynamicPartitionsDefinition(name="camera")
DATASETS = dg.DynamicPartitionsDefinition(name="dataset")
