"""jax.numpy: NumPy's functions on Arrays. Each file of this folder has those of one kind.

It is a namespace of the Array API standard 2024.12 (`x.__array_namespace__()`), with `jax_enable_x64` for its 64-bit dtypes. Of the
1,366 tests of the official suite 1,351 pass always and two for most of what they draw (99 %). The other 13 fail in JAX, too: Arrays are
immutable (3 tests); `finfo` of float32 has numbers of NumPy's type (2); `searchsorted` gives int32 (1); `cumulative_prod`
keeps small integers (1); a finite number // an infinity of the other sign is -1, which the standard allows but the suite does not
(6). The two: `sign(-0.0)` is -0.0, and the zero in `tanh(inf + iy)` has the sign of sin(2y), as in C99. `make array-api
SUITE=checkout` runs the suite; tests/jax_api/array_api_xfails.txt lists these tests with their reasons.

Differences from JAX:

- Where JAX and the Array API standard differ in values at infinities, NaN and zeros of either sign, quotients and functions of complex
  numbers are the standard's: an infinity // a number is an infinity (JAX: nan), x // y and x % y that are 0 have their proper sign,
  and functions of complex numbers have C99's values (Annex G), where JAX often has NaN or drops the sign of a zero.
"""

import importlib

from ...core.dtype import dt
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

dt.bfloat16  # noqa: B018  from here on NumPy knows the name, which programs give to np.dtype

_SUBMODULES = ("fft", "linalg")


def __getattr__(name):
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in NAMED_TYPES:
        return named_type(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
