"""The ledger: every intent reconciled against rows and objects."""
