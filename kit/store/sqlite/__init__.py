"""Local runs in one SQLite file, written by one thread that commits what has gathered."""
