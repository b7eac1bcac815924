"""jax.monitoring: events that libraries record, and who listens to them."""

__all__ = [
    "clear_event_listeners", "record_event", "record_event_duration_secs", "record_event_time_span", "record_scalar",
    "register_event_duration_secs_listener", "register_event_listener", "register_event_time_span_listener",
    "register_scalar_listener", "unregister_event_duration_listener", "unregister_event_listener",
    "unregister_event_time_span_listener", "unregister_scalar_listener",
]  # fmt: skip

_listeners = {"event": [], "duration": [], "time span": [], "scalar": []}


def _record(kind, args, kwargs):
    for listener in list(_listeners[kind]):
        listener(*args, **kwargs)


def record_event(event, **kwargs):
    """Tells the listeners of an event."""
    _record("event", (event,), kwargs)


def record_event_duration_secs(event, duration, **kwargs):
    """Tells the listeners how long something took."""
    _record("duration", (event, duration), kwargs)


def record_event_time_span(event, start_time, end_time, **kwargs):
    """Tells the listeners when something began and ended."""
    _record("time span", (event, start_time, end_time), kwargs)


def record_scalar(event, value, **kwargs):
    """Tells the listeners of a number."""
    _record("scalar", (event, value), kwargs)


def _registering(kind):
    def register(callback):
        _listeners[kind].append(callback)

    def unregister(callback):
        _listeners[kind].remove(callback)

    register.__doc__ = f"From now on `callback` is told of each record of this kind: {kind}."
    unregister.__doc__ = f"`callback` is no longer told of records of this kind: {kind}. ValueError if it was not."
    return register, unregister


register_event_listener, unregister_event_listener = _registering("event")
register_event_duration_secs_listener, unregister_event_duration_listener = _registering("duration")
register_event_time_span_listener, unregister_event_time_span_listener = _registering("time span")
register_scalar_listener, unregister_scalar_listener = _registering("scalar")


def clear_event_listeners():
    """Forgets all listeners."""
    for listeners in _listeners.values():
        listeners.clear()
