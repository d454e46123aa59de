"""Trials: what all of a run share, k6, what is observed beside it, the record of each."""
