"""What users call, and where it goes."""
