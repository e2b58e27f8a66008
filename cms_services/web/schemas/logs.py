"""The wire form of log entries."""

from typing import Any

from marshmallow import ValidationError, fields
from marshmallow.validate import Length

from cms_services.vocabulary import LogLevel
from cms_services.web.fields import AnswerSchema, Moment, Number, WireSchema, limit, word
from cms_services.wording import worded

_OMIT_NULL = {"omit_null": True}
MOST_ENTRIES = 10_000
LONGEST_MESSAGE = 65_536


class LogBatch(WireSchema):
    """What is said of a batch beside its entries."""

    batch_id = fields.String(
        data_key="batchId",
        load_default=None,
        validate=Length(1, 255),
        metadata={"description": "A batch of the same id is stored once, and answered alike."},
    )


class LogEntriesIn(LogBatch):
    """Each entry is judged by log_batches.py; a bad one doesn't make the batch a bad one."""

    entries = fields.List(
        fields.Raw(),
        required=True,
        validate=Length(max=MOST_ENTRIES),
        metadata={
            "description": "Each has level and message, and may have timestamp, source, "
            "attributes, traceId and id."
        },
    )


class AttributeFilters(fields.List[Any]):
    """Some `name:value`, each equal to an attribute of an entry. Loaded as pairs."""

    def __init__(self, **kwargs: Any) -> None:
        told = "Equal attributes, each as name:value; a name within an object with dots."
        super().__init__(
            fields.String(validate=Length(max=1300)),
            validate=Length(max=10),
            metadata={"description": told},
            **kwargs,
        )

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        # PHP carries a list as a text, or as an object.
        if isinstance(value, dict):
            value = list(value.values())
        texts = super()._deserialize([value] if isinstance(value, str) else value, *args, **kwargs)
        pairs = [str(text).partition(":") for text in texts or ()]
        if any(not name or not colon for name, colon, _ in pairs):
            raise ValidationError(worded("Takes name:value, such as http.status:500."))
        return [(name, sought) for name, _, sought in pairs]


class LogFilter(WireSchema):
    level = word(LogLevel, load_default=None)
    since = Moment(load_default=None)
    until = Moment(load_default=None)
    q = fields.String(load_default=None, validate=Length(max=255))
    attributes = AttributeFilters(data_key="attribute", load_default=())
    trace_id = fields.String(data_key="traceId", load_default=None, validate=Length(1, 64))


class LogsQuery(LogFilter):
    limit = limit(100, 1000)
    cursor = fields.String(load_default=None, validate=Length(max=2000))


class LogEntryOut(AnswerSchema):
    id = Number(required=True)
    at = Moment(data_key="timestamp", required=True)
    level = word(LogLevel, required=True)
    message = fields.String(required=True)
    source = fields.String(required=True)
    attributes = fields.Dict(keys=fields.String(), required=True)
    trace_id = fields.String(data_key="traceId", metadata=_OMIT_NULL)
