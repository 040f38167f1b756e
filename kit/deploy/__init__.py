"""Python in Netlify's functions: what runs there, and what is copied beside it."""
