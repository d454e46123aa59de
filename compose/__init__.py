"""How the testbed is put together and started. Imports nothing of the services."""
