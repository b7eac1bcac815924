"""python -m pequegrad.jax_api script.py args...: runs a JAX program, or (-m) a module, with this package as jax."""

import os
import runpy
import sys


def main(arguments):
    """Runs the script or module that `arguments` name."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(
            "usage: python -m pequegrad.jax_api script.py [arguments ...]\n       python -m pequegrad.jax_api -m module [arguments ...]"
        )
        return 0 if arguments else 2
    from .finder import install

    install()
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))  # as Python itself does
        runpy.run_path(arguments[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
