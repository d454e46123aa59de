"""`make trace`: the way of one upload or request through all processes, read from their logs."""
