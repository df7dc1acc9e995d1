"""What the package learns from database connections."""
