"""jax.errors: the errors of JAX programs. Most are those of this package under JAX's names."""

from ..core.errors import (
    ConcretizationTypeError,
    NonConcreteBooleanIndexError,
    TracerArrayConversionError,
    TracerBoolConversionError,
    TracerError,
    TracerIntegerConversionError,
    UnexpectedTracerError,
)
from ..core.errors import DeviceError as JaxRuntimeError
from ..core.errors import IndexingError as JAXIndexError

JAXTypeError = TracerError


class KeyReuseError(JAXTypeError):
    """A random key was used twice (jax_debug_key_reuse). Never raised here."""


__all__ = [
    "ConcretizationTypeError", "JAXIndexError", "JAXTypeError", "JaxRuntimeError", "KeyReuseError",
    "NonConcreteBooleanIndexError", "TracerArrayConversionError", "TracerBoolConversionError",
    "TracerIntegerConversionError", "UnexpectedTracerError",
]  # fmt: skip
