"""The cellSTORM paper made again: every figure by simulation, theirs beside ours."""
