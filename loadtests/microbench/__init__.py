"""Small measurements of one property each, on a testbed that runs."""
