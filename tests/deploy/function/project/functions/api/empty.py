"""No function here answers anything."""
