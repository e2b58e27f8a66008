"""What a profile file may say: its keys, their defaults, and the refusal of anything else."""

from functools import cache
from typing import Any
from zoneinfo import available_timezones

from marshmallow import RAISE, Schema, ValidationError, fields
from marshmallow.validate import Length, OneOf, Regexp

from cms_services.php.json_encoding import FLAGS
from cms_services.web.errors import STATUS_OF_CODE

_KEY = [Length(1, 64), Regexp(r"[^\x00-\x1f]+\Z", error="Takes a name without control characters.")]
_SHAPE = Regexp(
    r"(?!success$|error$|meta$)[A-Za-z_][A-Za-z0-9_-]{0,63}\Z",
    error="Takes wrapped, bare, or the name of a key other than success, error and meta.",
)
_CODES = Regexp(f"(?:{'|'.join(STATUS_OF_CODE)})\\Z", error="There is no such error code.")
_CONTENT_TYPE = Regexp(
    r"[a-z]+/[a-z0-9.+-]+(?:; ?charset=[A-Za-z0-9-]+)?\Z",
    error="Takes a content type such as text/html; charset=utf-8.",
)
# Others are ours to say: they keep browsers careful, or sign people in.
_HEADERS = ("Cache-Control", "Expires", "Pragma", "Vary", "X-Powered-By", "Content-Language")
_HEADER_VALUE = Regexp(r"[ -~]{1,1000}\Z", error="Takes visible ASCII characters.")


class _Strict(Schema):
    class Meta:
        unknown = RAISE


class _Part(fields.Nested):
    """A part of the file, which may be left out: then it has its defaults."""

    def __init__(self, schema: type[Schema]) -> None:
        super().__init__(schema, load_default=lambda: schema().load({}))


class Constant(fields.Raw):
    """A text, number, boolean or null that an answer has as it stands in the file."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_none=True, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if value is None or isinstance(value, str | int | float | bool):
            return value
        raise ValidationError("Takes a text, number, boolean or null.")


class _Zone(fields.String):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        name = super()._deserialize(value, *args, **kwargs)
        if name not in _zones():
            raise ValidationError("Takes the name of a time zone such as Europe/Berlin.")
        return name


@cache
def _zones() -> set[str]:
    return available_timezones()


class _Status(fields.Raw):
    """http, always-200, or a mapping from statuses or error codes to statuses."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if value in ("http", "always-200"):
            return value
        if not isinstance(value, dict):
            raise ValidationError("Takes http, always-200, or a mapping such as 404: 200.")
        rules = {str(name): status for name, status in value.items()}
        for name, status in rules.items():
            if name not in STATUS_OF_CODE and not (name.isdecimal() and 400 <= int(name) <= 599):
                raise ValidationError({name: ["Takes an error code, or a status from 400 to 599."]})
            if not isinstance(status, int) or not 200 <= status <= 599:
                raise ValidationError({name: ["Takes a status from 200 to 599."]})
        return rules


def _names() -> fields.List[str]:
    return fields.List(fields.String(validate=_KEY), load_default=list)


def _mapping(values: fields.Field[Any], keys: Any = _KEY) -> fields.Dict:
    return fields.Dict(keys=fields.String(validate=keys), values=values, load_default=dict)


def _word_of(*words: str) -> fields.String:
    return fields.String(load_default=words[0], validate=OneOf(words))


class _Flag(_Strict):
    key = fields.String(load_default="success", allow_none=True, validate=_KEY)
    success = Constant(load_default=True)
    failure = Constant(load_default=False)


class _Envelope(_Strict):
    shape = fields.String(load_default="wrapped", validate=_SHAPE)
    actions = _mapping(fields.String(validate=_SHAPE))
    flag = _Part(_Flag)
    count = fields.String(load_default=None, allow_none=True, validate=_KEY)
    add = _mapping(Constant())
    order = _names()


class _Errors(_Strict):
    shape = _word_of("object", "message", "code")
    key = fields.String(load_default="error", validate=_KEY)
    code_key = fields.String(load_default=None, allow_none=True, validate=_KEY)
    codes = _mapping(Constant(), _CODES)
    messages = _mapping(fields.String(validate=Length(max=1000)), _CODES)
    add = _mapping(Constant())


class _Json(_Strict):
    flags = fields.List(fields.String(validate=OneOf(FLAGS)), load_default=None, allow_none=True)
    before = fields.String(load_default="", validate=Length(max=100))
    after = fields.String(load_default="", validate=Length(max=100))


class _Dates(_Strict):
    format = fields.String(load_default=None, allow_none=True, validate=Length(1, 64))
    zone = _Zone(load_default="UTC")


class _Object(_Strict):
    rename = _mapping(fields.String(validate=_KEY))
    omit = _names()
    add = _mapping(Constant())
    order = _names()
    dates = _mapping(fields.String(validate=Length(1, 64)))
    numbers = _names()
    texts = _names()
    values = _mapping(fields.Dict(keys=fields.String(), values=Constant()))
    nulls = _mapping(Constant())
    json_text = _names()
    joined = _mapping(fields.String(validate=Length(max=10)))


class ProfileFile(_Strict):
    version = fields.Integer(required=True, strict=True, validate=OneOf([1]))
    envelope = _Part(_Envelope)
    errors = _Part(_Errors)
    status = _Status(load_default="http")
    content_type = fields.String(load_default=None, allow_none=True, validate=_CONTENT_TYPE)
    headers = fields.Dict(
        keys=fields.String(validate=OneOf(_HEADERS)),
        values=fields.String(validate=_HEADER_VALUE, allow_none=True),
        load_default=dict,
    )
    json = _Part(_Json)
    dates = _Part(_Dates)
    ids = _word_of("text", "number")
    numbers = _word_of("number", "text")
    booleans = _word_of("boolean", "number", "text")
    nulls = _word_of("null", "empty", "leave out")
    empty_object = _word_of("{}", "[]")
    objects = fields.Dict(keys=fields.String(), values=fields.Nested(_Object), load_default=dict)
    parameters = _mapping(fields.String(validate=_KEY))
    parameter_values = _mapping(fields.Dict(keys=fields.String(), values=fields.String()))
