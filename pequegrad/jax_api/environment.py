"""jax.print_environment_info."""

import os
import platform
import sys
import textwrap

import numpy as np


def print_environment_info(return_string=False):
    """Prints, or returns as text, which versions are at work on which machine."""
    from .. import __version__ as own
    from . import __version__, placement

    info = textwrap.dedent(f"""\
        jax:       {__version__} (pequegrad {own})
        numpy:     {np.__version__}
        python:    {sys.version}
        devices:   {placement.devices()}
        processes: {placement.process_count()}
        platform:  {platform.platform()}
        """)
    info += "".join(
        f"{key}={value}\n" for key, value in sorted(os.environ.items()) if key.startswith(("JAX_", "PG_", "XLA_"))
    )
    if return_string:
        return info
    print(info)
    return None
