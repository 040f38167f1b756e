"""The server of `kit dev`: Netlify's addresses on this machine, and a window onto every run."""
