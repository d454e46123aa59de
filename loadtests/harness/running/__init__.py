"""Trials: the system as it is found, k6, what is observed beside it, the record of each."""
