"""The checks of a run: what may spoil an answer, one module for each thing that is judged."""
