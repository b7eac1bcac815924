"""jax.numpy: NumPy's functions on Arrays. Each file of this folder has those of one kind."""

import importlib

from ..array import Array as ndarray
from .array_api import __array_api_version__, __array_namespace_info__
from .comparisons import *  # noqa: F403
from .creation import *  # noqa: F403
from .cumulative import *  # noqa: F403
from .data_types import *  # noqa: F403
from .data_types import NAMED_TYPES, named_type
from .diagonals import *  # noqa: F403
from .elementwise import *  # noqa: F403
from .files import *  # noqa: F403
from .functional import *  # noqa: F403
from .grids import *  # noqa: F403
from .indexing import *  # noqa: F403
from .joining import *  # noqa: F403
from .manipulation import *  # noqa: F403
from .padding import *  # noqa: F403
from .polynomials import *  # noqa: F403
from .products import *  # noqa: F403
from .quantiles import *  # noqa: F403
from .reductions import *  # noqa: F403
from .sets import *  # noqa: F403
from .sorting import *  # noqa: F403
from .statistics import *  # noqa: F403
from .ufunc import *  # noqa: F403
from .ufuncs import *  # noqa: F403
from .windows import *  # noqa: F403

_SUBMODULES = ("fft", "linalg")


def __getattr__(name):
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in NAMED_TYPES:
        return named_type(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
