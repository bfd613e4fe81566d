"""Downloads: where the user's own tools would download from, and files named with their hash."""
