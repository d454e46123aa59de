"""Browser origins that are always allowed: at the gateway, and at the bucket that presigned URLs lead to."""

ORIGINS = (
    "http://localhost:3000",
    "http://localhost:5500",
    "https://localhost:5500",
    "http://127.0.0.1:5500",
)
