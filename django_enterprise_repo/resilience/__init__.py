"""When a database fails: what the failure means, when to stop asking, and when to ask again."""
