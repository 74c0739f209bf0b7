"""From spots to molecules: drift, merging of blinks, selection."""
