"""From an experiment file and what was typed to a frozen list of trials."""
