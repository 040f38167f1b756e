"""Programs for the bundle's own interpreter, which are passed to it as text."""
