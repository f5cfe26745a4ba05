"""Tables as people read them: the page and its figures, its Markdown twin, LaTeX and CSV, lines for a terminal."""
