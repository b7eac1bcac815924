"""jax.scipy.signal: convolution, trends, spectra."""

from .convolution import *  # noqa: F403
from .spectra import *  # noqa: F403
from .trends import *  # noqa: F403
