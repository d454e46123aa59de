"""The rules of files: who may do what, and in which order it is done."""
