"""Tests in a real browser: a package, since pytest knows of nothing else that shares a fixture."""
