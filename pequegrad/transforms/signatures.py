"""The parameters of Python functions (inspect is imported when it is first needed)."""


def signature(function):
    """The parameters of `function`, a list; empty if they cannot be known."""
    import inspect

    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def argument_names(function, count):
    """Names for the first `count` positional arguments, for messages."""
    names = [p.name for p in signature(function) if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return (names + [f"argument {i}" for i in range(len(names), count)])[:count]
