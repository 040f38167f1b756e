"""What commands show: text, tables, progress."""
