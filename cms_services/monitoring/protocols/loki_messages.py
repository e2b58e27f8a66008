"""The messages of Loki's pushes, made of the fields that pkg/push/push.proto of Loki 3 lists.

https://github.com/grafana/loki/blob/main/pkg/push/push.proto
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

_PACKAGE = "logproto"
_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _Field.TYPE_STRING,
    "int64": _Field.TYPE_INT64,
    "int32": _Field.TYPE_INT32,
    "uint64": _Field.TYPE_UINT64,
}
# By message: name, number and type of each field; the ones in brackets repeat.
_MESSAGES = {
    "PushRequest": [("streams", 1, "[StreamAdapter]")],
    "StreamAdapter": [
        ("labels", 1, "string"),
        ("entries", 2, "[EntryAdapter]"),
        ("hash", 3, "uint64"),
    ],
    "EntryAdapter": [
        ("timestamp", 1, "Timestamp"),
        ("line", 2, "string"),
        ("structuredMetadata", 3, "[LabelPairAdapter]"),
        ("parsed", 4, "[LabelPairAdapter]"),
    ],
    "LabelPairAdapter": [("name", 1, "string"), ("value", 2, "string")],
    # As google.protobuf.Timestamp is.
    "Timestamp": [("seconds", 1, "int64"), ("nanos", 2, "int32")],
}


def _push_request() -> type[Message]:
    file = descriptor_pb2.FileDescriptorProto(
        name="cms_services/push.proto", package=_PACKAGE, syntax="proto3"
    )
    for message, fields in _MESSAGES.items():
        made = file.message_type.add(name=message)
        for name, number, told in fields:
            kind = told.strip("[]")
            field = made.field.add(name=name, number=number)
            field.label = _Field.LABEL_REPEATED if told[0] == "[" else _Field.LABEL_OPTIONAL
            if kind in _SCALARS:
                field.type = _SCALARS[kind]
            else:
                field.type = _Field.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.PushRequest"))


PushRequest = _push_request()
