"""The upload service: sessions, bytes by proxy, presigned uploads, and what makes them durable."""
