"""The pages of `kit dev`: rendered here, refreshed by what runs do, with no build step."""
