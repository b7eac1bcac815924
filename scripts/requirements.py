"""Prints what pip must install for the given extras, one requirement a line, from pyproject.toml.

python scripts/requirements.py examples test
"""

import pathlib
import re
import sys
import tomllib

project = tomllib.loads((pathlib.Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]


def show(requirements):
    """Prints requirements; for pequegrad[extra], those of that extra."""
    for requirement in requirements:
        own = re.fullmatch(r"pequegrad\[(\w+)\]", requirement)
        if own:
            show(project["optional-dependencies"][own[1]])
        else:
            print(requirement)


show(project["dependencies"])
for extra in sys.argv[1:]:
    show(project["optional-dependencies"][extra])
