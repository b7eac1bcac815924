"""jax.extend.linear_util: functions on the way through transforms that libraries write."""

__all__ = ["WrappedFun", "wrap_init"]


class WrappedFun:
    """A function, and what transforms made of it."""

    def __init__(self, f, f_transformed, debug_info=None):
        self.f, self.f_transformed, self.debug_info = f, f_transformed, debug_info

    __name__ = property(lambda self: getattr(self.f, "__name__", "<unnamed wrapped function>"), doc="Its name.")

    def call_wrapped(self, *args, **kwargs):
        """What the transformed function gives."""
        return self.f_transformed(*args, **kwargs)

    def __repr__(self):
        return f"Wrapped function: {self.__name__}"


def wrap_init(f, params=None, *, debug_info=None):
    """`f`, with `params` as keyword arguments, before any transform."""
    if params is None:
        return WrappedFun(f, f, debug_info)
    return WrappedFun(f, lambda *args, **kwargs: f(*args, **params, **kwargs), debug_info)
