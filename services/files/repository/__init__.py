"""All SQL of the files service; the lists' statements are put together in ``listing``."""
