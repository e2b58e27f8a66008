"""Text columns that PHP serialized, by the reader of cms_services.php."""

from typing import Any


def from_php(data: bytes) -> Any:
    """The value that PHP's serialize() wrote; its arrays as lists or objects. Raises ValueError."""
    raise ValueError("not yet")
