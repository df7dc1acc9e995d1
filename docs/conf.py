"""How Sphinx builds these pages: ``make docs``."""

from __future__ import annotations

import os
from importlib.metadata import version as installed

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testproject.settings")
django.setup()

project = "django-enterprise-repo"
release = version = installed("django-enterprise-repo")
project_copyright = "the authors of django-enterprise-repo"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# The last two are included by other pages.
exclude_patterns = ["_build", "explanation/fault-report.md", "explanation/protocol-verdicts.md"]

autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
# Every reference within these pages must resolve; Django's and Python's own names are said without a link.
nitpick_ignore_regex = [("py:.*", r"(?!django_enterprise_repo).*"), ("py:class", r".*\.T")]

html_theme = "furo"
html_title = f"{project} {release}"
html_static_path: list[str] = []
