"""Stacks of our processes beside a running testbed: its databases and its store, nothing else of it."""
