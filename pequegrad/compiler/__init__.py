"""From a traced graph to a program of the runtime."""
