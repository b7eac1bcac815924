"""jax.scipy.special: the special functions of mathematics, elementwise unless they say otherwise; integers become floats."""

from .bessel import *  # noqa: F403
from .errors import *  # noqa: F403
from .gammas import *  # noqa: F403
from .harmonics import *  # noqa: F403
from .hypergeometric import *  # noqa: F403
from .integrals import *  # noqa: F403
from .logarithms import *  # noqa: F403
from .normal import *  # noqa: F403
