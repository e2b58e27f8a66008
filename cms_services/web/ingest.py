"""Batches of which the good part is stored and the bad part is named, for both kinds of ingest."""

from collections.abc import Sequence
from typing import Any

from marshmallow import Schema, ValidationError

from cms_services.field_messages import field_messages
from cms_services.web.bodies import instance_of


def sort_out(schema: type[Schema], items: Sequence[Any]) -> tuple[list[dict[str, Any]], list[Any]]:
    """The items that the schema accepts, loaded; and `{index, message}` for each of the others."""
    ready = instance_of(schema)
    accepted, rejected = [], []
    for index, item in enumerate(items):
        try:
            accepted.append(ready.load(item))
        except ValidationError as error:
            messages = field_messages(error.normalized_messages())  # type: ignore[no-untyped-call]
            text = "; ".join(f"{field}: {' '.join(texts)}" for field, texts in messages.items())
            rejected.append({"index": index, "message": text})
    return accepted, rejected
