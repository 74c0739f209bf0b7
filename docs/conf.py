"""How the documentation site is built: `make docs`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

from cellstorm_lib import __version__

project = "cellstorm"
copyright = "the cellstorm developers"  # noqa: A001 - the name is Sphinx's
release = version = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "formulas",
    "from_code",
    "whole_repository",
]
exclude_patterns = ["extensions", "**.ipynb_checkpoints"]
# A word in the type of a parameter may be the name of several things; it is then no link.
suppress_warnings = ["ref.python"]
highlight_language = "none"
default_role = "code"
smartquotes = False

# Pages are plain Markdown that also reads well on its own; formulas stand between dollars.
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 4

# The teaching notebook is run anew for every site, without a network; it needs no microscope.
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = "cellstorm"
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
