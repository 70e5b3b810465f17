"""Reading logs of any size: files that grow, lines, search, filter, and the page in view. No screen here."""
