"""docs/jax/ says what the code is."""

from .pages import FOLDER, pages


def test_pages_are_current():
    for name, text in pages().items():
        assert (FOLDER / name).read_text("utf-8") == text, f"docs/jax/{name} is old: run `make docs`"
