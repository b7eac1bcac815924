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


def __getattr__(name):
    """add_p, exp_p ...: the operations of Jaxprs."""
    if name.endswith("_p"):
        from ..jaxprs import primitive_named

        if (found := primitive_named(name[:-2])) is not None:
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
