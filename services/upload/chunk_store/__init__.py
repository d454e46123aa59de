"""Where the bytes of a chunk go until the upload is complete."""
