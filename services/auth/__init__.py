"""The auth service: accounts, passwords and users' tokens."""
