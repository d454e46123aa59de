"""The rules of the upload service; they know neither HTTP nor SQL."""
