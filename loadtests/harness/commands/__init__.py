"""What the command line offers, one module each."""
