"""What there can be many of."""

import dagster as dg

RECORDINGS = dg.DynamicPartitionsDefinition(name="recording")
