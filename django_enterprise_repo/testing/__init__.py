"""Help for the tests of projects that use repositories.

``RepositoryFactory`` lives in :mod:`django_enterprise_repo.testing.factories`, because it needs factory-boy.
"""

from .operations import OperationLog, capture_operations
from .queries import assert_max_queries, assert_queries

__all__ = ["OperationLog", "assert_max_queries", "assert_queries", "capture_operations"]
