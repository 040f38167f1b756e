"""`kit build`: Netlify functions that carry a Python, made from the project's files."""
