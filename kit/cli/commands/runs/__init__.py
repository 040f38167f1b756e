"""`kit runs`: what has been run here or on a site, and what can be done about it."""
