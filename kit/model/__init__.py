"""The words: what a workflow, an event, a run and its errors are."""
