"""All SQL of the upload service; every method is one statement and returns frozen values."""
