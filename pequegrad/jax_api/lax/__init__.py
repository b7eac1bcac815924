"""jax.lax: the functions that jax.numpy is made of, strict about dtypes and shapes. Each file has those of one kind."""

from . import linalg
from .collectives import *  # noqa: F403
from .control_flow import *  # noqa: F403
from .convolution import *  # noqa: F403
from .elementwise import *  # noqa: F403
from .other import *  # noqa: F403
from .products import *  # noqa: F403
from .reductions import *  # noqa: F403
from .shapes import *  # noqa: F403
from .slicing import *  # noqa: F403
from .solving import *  # noqa: F403
from .sorting import *  # noqa: F403
from .types import *  # noqa: F403
