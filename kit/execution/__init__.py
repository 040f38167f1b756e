"""One delivery in, one outcome out."""
