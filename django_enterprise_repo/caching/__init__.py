"""Rows by their key: compiled reads, and the cache in front of them."""
