"""The site: `make docs` builds it from these pages into build/site, and fetches nothing."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_site"))

project = "Honorarium"
author = "Honorarium contributors"
copyright = "Honorarium contributors"
release = version_of("honorarium")

extensions = ["myst_parser", "sphinx.ext.autodoc", "repository", "names"]
exclude_patterns = ["_site"]
root_doc = "index"
nitpicky = False

# ------------------------------------------------------------------------------------- Markdown

myst_heading_anchors = 6
# `source:` leads to a file of the repository; see _site/repository.py.
myst_url_schemes = ("http", "https", "mailto", "source")
myst_enable_extensions = ["colon_fence"]

# ------------------------------------------------------------------------------------ docstrings

# They are plain text; what stands in backticks is code, and a link where there is something.
default_role = "py:obj"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 78
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
autodoc_type_aliases = {
    "Agreed": "honorarium.chain.account.Agreed",
    "Block": "Block",
    "Clock": "honorarium.protocol.Clock",
    "Engine": "honorarium.chain.Engine",
    "Event": "honorarium.protocol.Event",
    "Money": "honorarium.money.Money",
    "Notice": "honorarium.client.Notice",
    "Payment": "honorarium.chain.Payment",
    "Signer": "honorarium.protocol.Signer",
    "Stop": "honorarium.advisor.Stop",
    "TransactionFields": "honorarium.protocol.TransactionFields",
}

# ------------------------------------------------------------------------------------- the look

html_theme = "furo"
html_title = "Honorarium"
html_static_path = ["_site/static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#1f5f4f",
        "color-brand-content": "#1a6b57",
        "font-stack": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif",
        "font-stack--monospace": "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7fcfb6",
        "color-brand-content": "#86d6bd",
    },
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
