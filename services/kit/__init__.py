"""Mechanism that every process shares. Knows no business word and imports nothing of ours."""
