"""The messages of Prometheus remote write 1.0, described here so that no compiler is needed.

https://prometheus.io/docs/specs/prw/remote_write_spec/; fields as in prompb/remote.proto and
prompb/types.proto of https://github.com/prometheus/prometheus. What isn't read (exemplars, hints of
resets) is left out, and skipped by protobuf.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "cms_services.prometheus"
_SCALARS = {
    "double": _Field.TYPE_DOUBLE,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "sint32": _Field.TYPE_SINT32,
    "sint64": _Field.TYPE_SINT64,
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
    "string": _Field.TYPE_STRING,
}
# Message to its fields: name, number, type, which may be one of the messages, and [] for repeated.
_MESSAGES: dict[str, list[tuple[str, int, str]]] = {
    "Label": [("name", 1, "string"), ("value", 2, "string")],
    "Sample": [("value", 1, "double"), ("timestamp", 2, "int64")],
    "BucketSpan": [("offset", 1, "sint32"), ("length", 2, "uint32")],
    "Histogram": [
        ("count_int", 1, "uint64"),
        ("count_float", 2, "double"),
        ("sum", 3, "double"),
        ("schema", 4, "sint32"),
        ("zero_threshold", 5, "double"),
        ("zero_count_int", 6, "uint64"),
        ("zero_count_float", 7, "double"),
        ("negative_spans", 8, "BucketSpan[]"),
        ("negative_deltas", 9, "sint64[]"),
        ("negative_counts", 10, "double[]"),
        ("positive_spans", 11, "BucketSpan[]"),
        ("positive_deltas", 12, "sint64[]"),
        ("positive_counts", 13, "double[]"),
        ("timestamp", 15, "int64"),
    ],
    "TimeSeries": [
        ("labels", 1, "Label[]"),
        ("samples", 2, "Sample[]"),
        ("histograms", 4, "Histogram[]"),
    ],
    # The type is an enumeration, which travels as a number.
    "MetricMetadata": [("type", 1, "int32"), ("metric_family_name", 2, "string")],
    "WriteRequest": [("timeseries", 1, "TimeSeries[]"), ("metadata", 3, "MetricMetadata[]")],
}


def _make_messages() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="cms_services/remote_write.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            one = kind.removesuffix("[]")
            label = _Field.LABEL_OPTIONAL if one == kind else _Field.LABEL_REPEATED
            added = message.field.add(name=field_name, number=number, label=label)
            if one in _SCALARS:
                added.type = _SCALARS[one]
            else:
                added.type = _Field.TYPE_MESSAGE
                added.type_name = f".{_PACKAGE}.{one}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


WriteRequest: Any = _make_messages()["WriteRequest"]
