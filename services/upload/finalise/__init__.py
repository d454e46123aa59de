"""What happens after the last byte: the object is made, the file registered, the upload completed."""
