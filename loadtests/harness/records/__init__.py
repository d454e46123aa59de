"""What a run leaves behind: its records, their words, the folder they are kept in."""
