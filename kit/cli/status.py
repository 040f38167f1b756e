"""The exit status beside 0 done, 1 failed, 2 used wrongly."""

INTERRUPTED = 130
"""A command ended by Ctrl-C, as shells have it."""
