"""jax.scipy.linalg: systems, factorisations, functions of matrices, and special matrices, in the last two axes of arrays."""

from .eigenvalues import *  # noqa: F403
from .factors import *  # noqa: F403
from .functions import *  # noqa: F403
from .special_matrices import *  # noqa: F403
from .structured import *  # noqa: F403
from .systems import *  # noqa: F403
