"""All that runs inside a deployed function, and its JavaScript."""
