"""HTTP/1.1 on httptools and asyncio protocols: only what our processes need of it."""
