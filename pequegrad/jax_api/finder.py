"""`import jax` finds this package: install() puts a finder in front of all others.

A module has one object under both names (jax.numpy is pequegrad.jax_api.numpy), so that nothing is loaded twice. What JAX has and this
package has not (jax.experimental.pallas ...) raises ModuleNotFoundError, and is not looked for elsewhere. Of jax._src there is what
libraries ask for (private.py), under this name only.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import sys
import types

from . import MODULES, __version__, private
from .configuration import read_environment

_OWN = __name__.rpartition(".")[0]  # pequegrad.jax_api
_NAMES = ("jax", "jaxlib")


class JaxFinder(importlib.abc.MetaPathFinder):
    """Finds jax, its submodules, and jaxlib."""

    def find_spec(self, fullname, path=None, target=None):
        """The spec of a module of JAX; None for all others."""
        root, _, rest = fullname.partition(".")
        if root not in _NAMES:
            return None
        if fullname == "jax":
            read_environment()
        if root == "jaxlib":
            found = _jaxlib(rest)
        elif rest.partition(".")[0] == "_src":
            found = private.module(rest)
        elif rest and rest.partition(".")[0] not in MODULES:
            found = None
        else:
            found = _module(f"{_OWN}.{rest}" if rest else _OWN)
        if found is None:
            raise ModuleNotFoundError(f"No module named {fullname!r} in {_OWN}", name=fullname)
        return importlib.machinery.ModuleSpec(fullname, _Loader(found), is_package=hasattr(found, "__path__"))

    def find_distributions(self, context=None):
        """jax and jaxlib as importlib.metadata shows installed packages."""
        name = getattr(context, "name", None)
        return [_Distribution(n) for n in _NAMES if name is None or name.lower() == n]


class _Loader(importlib.abc.Loader):
    """Gives a module that is there already."""

    def __init__(self, module):
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec):
        return self.module

    def exec_module(self, module):
        module.__spec__ = self.spec  # the import has put its own in its place


def _module(name):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None


def _jaxlib(rest):
    """The module jaxlib, or jaxlib.version: versions are all that is there."""
    if rest not in ("", "version"):
        return None
    name = f"jaxlib.{rest}" if rest else "jaxlib"
    made = types.ModuleType(name, "The version of jaxlib that goes with this JAX.")
    made.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=not rest)
    made.__version__ = made.version = __version__
    if not rest:
        made.__path__ = []
    return made


class _Distribution(importlib.metadata.Distribution):
    """What importlib.metadata says of an installed package: name and version."""

    def __init__(self, name):
        self._name = name

    def read_text(self, filename):
        """The text of METADATA; None for other files."""
        return (
            f"Metadata-Version: 2.1\nName: {self._name}\nVersion: {__version__}\n" if filename == "METADATA" else None
        )

    def locate_file(self, path):
        """There are no files."""
        raise FileNotFoundError(path)


def install():
    """Makes `import jax` mean this package, in this process. RuntimeError if another jax has been imported already."""
    for name in _NAMES:
        found = sys.modules.get(name)
        if found is not None and name == "jax" and found is not sys.modules[_OWN]:
            raise RuntimeError("Another jax has been imported already: call pequegrad.jax_api.install() before.")
    if not any(isinstance(finder, JaxFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, JaxFinder())
        importlib.invalidate_caches()
