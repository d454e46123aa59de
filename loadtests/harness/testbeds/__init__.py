"""The running system as it is found: where it listens, what runs it, what its parts use."""
