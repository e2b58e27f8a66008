"""What an action did, said on the page that comes next."""

from flask import flash


def say(text: str, *, undo: str | None = None) -> None:
    """Tell what was done; `undo` is the address that takes it back by POST."""
    flash({"text": text, "undo": undo})  # type: ignore[arg-type]
