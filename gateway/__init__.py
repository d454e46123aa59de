"""The public entry: decides what may pass, and streams it to the service that answers."""
