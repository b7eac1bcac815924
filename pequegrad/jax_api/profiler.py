"""jax.profiler: when each kernel ran, as a trace that Perfetto and chrome://tracing show. Annotations are bars of their own."""

import contextlib
import functools
import os
import threading
import time

from ..compiler.profile import profile

__all__ = ["StepTraceAnnotation", "TraceAnnotation", "annotate_function", "start_trace", "stop_trace", "trace"]


class _Session:
    """The trace that is being recorded."""

    def __init__(self, folder):
        self.path = os.path.join(
            os.fspath(folder), "plugins", "profile", time.strftime("%Y_%m_%d_%H_%M_%S"), "trace.json"
        )
        self.profile, self.annotations = profile(), []
        self.profile.__enter__()

    def end(self):
        import json

        from ..core.files import write_atomically

        self.profile.__exit__(None, None, None)
        start = self.profile.start
        for name, begin, end, thread, arguments in self.annotations:
            self.profile.events.append({
                "name": name, "cat": "annotation", "ph": "X", "ts": (begin - start) / 1000, "dur": (end - begin) / 1000,
                "pid": os.getpid(), "tid": thread, "args": arguments,
            })  # fmt: skip
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        write_atomically(self.path, json.dumps(self.profile.as_dict()).encode())


_session = None


def start_trace(log_dir, create_perfetto_link=False, create_perfetto_trace=False, profiler_options=None):
    """Begins a trace, which stop_trace writes as plugins/profile/<time>/trace.json below log_dir."""
    global _session
    if create_perfetto_link:
        raise NotImplementedError("Traces are files here: open trace.json in ui.perfetto.dev.")
    if profiler_options is not None:
        raise NotImplementedError("start_trace has no options here.")
    if _session is not None:
        raise RuntimeError("Profile has already been started. Only one profile may be run at a time.")
    _session = _Session(log_dir)


def stop_trace():
    """Ends the trace and writes it."""
    global _session
    if _session is None:
        raise RuntimeError("No profile started")
    ended, _session = _session, None
    ended.end()


@contextlib.contextmanager
def trace(log_dir, create_perfetto_link=False, create_perfetto_trace=False, profiler_options=None):
    """Context manager: start_trace ... stop_trace."""
    start_trace(log_dir, create_perfetto_link, create_perfetto_trace, profiler_options)
    try:
        yield
    finally:
        stop_trace()


class TraceAnnotation(contextlib.ContextDecorator):
    """Context manager: a bar in the trace, under a name; keyword arguments are shown with it."""

    def __init__(self, name, **kwargs):
        self.name, self.arguments = name, kwargs

    def __enter__(self):
        self.begin = time.monotonic_ns()
        return self

    def __exit__(self, *exc):
        if _session is not None:
            thread = threading.get_native_id()
            _session.annotations.append((self.name, self.begin, time.monotonic_ns(), thread, self.arguments))


class StepTraceAnnotation(TraceAnnotation):
    """TraceAnnotation for a step of training: StepTraceAnnotation("train", step_num=i)."""

    def __init__(self, name, **kwargs):
        super().__init__(name, **kwargs)


def annotate_function(func, name=None, **decorator_kwargs):
    """Decorator: calls of the function are bars in the trace."""
    shown = name or getattr(func, "__qualname__", None) or getattr(func, "__name__", type(func).__name__)

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        with TraceAnnotation(shown, **decorator_kwargs):
            return func(*args, **kwargs)

    return wrapper
