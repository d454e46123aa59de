"""How the body of a file that comes in one request gets into the store: streamed, spooled or buffered."""
