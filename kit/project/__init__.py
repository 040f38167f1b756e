"""The user's project: its settings, its files, the workflows in them."""
