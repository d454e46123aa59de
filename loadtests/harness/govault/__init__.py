"""GoVault's own study on this machine: its ramps, its table and charts, and what becomes of its sentences."""
