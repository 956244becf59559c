"""What a data drift check found, for people: in words, as Markdown, as a page."""
