"""jax.extend.source_info_util: where in the user's code an operation is."""

from ...core.errors import hidden_paths

__all__ = ["register_exclusion"]


def register_exclusion(file_name):
    """Errors do not name lines of this file, or of files below this folder, as the place where they come from."""
    hidden_paths.append(file_name)
