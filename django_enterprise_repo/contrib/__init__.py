"""Bridges to other packages. Each imports its package, and nothing imports them."""
