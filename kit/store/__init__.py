"""Run records: what is kept of a run, and where."""
