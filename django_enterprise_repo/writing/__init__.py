"""The one write path. Every change that starts at a repository or a ``RepositoryModel`` ends in ``path.execute``."""
