"""Soft delete: which column marks a row as deleted, who sees such rows, what stands in the way of deleting."""
