"""Gets external programs: from the user, from the tool cache, or into it."""
