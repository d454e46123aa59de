"""The files service: whose file it is, who may see it, and how to read it."""
