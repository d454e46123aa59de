"""HTTP/1.1 between processes and to clients: what a request and an answer are, and who carries them."""
