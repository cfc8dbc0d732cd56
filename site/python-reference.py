"""The Python package's docstrings as HTML: python site/python-reference.py OUT."""

import sys
from pathlib import Path

import pdoc
import pdoc.render

import polylaplace

# The estimators are loaded when they are first named; pdoc looks for names that are there.
for name in polylaplace.__all__:
    setattr(polylaplace, name, getattr(polylaplace, name))
pdoc.render.configure(show_source=False)
# torch is another package's gigabyte: its module is described in docs/laplace-torch.md.
pdoc.pdoc("polylaplace", "!polylaplace.torch", output_directory=Path(sys.argv[1]))
