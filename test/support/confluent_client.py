"""Confluent's own Avro serializer and deserializer, driven by JSON lines on stdin; one JSON line is answered to each.

Argument: address of the schema registry.
  {"do": "write", "topic", "schema", "values"[, "references"]} -> {"records": [base64, ...]}
  {"do": "read", "topic", "records": [base64, ...]}             -> {"values": [...]}
"""

import base64
import json
import sys
from datetime import datetime, timedelta, timezone

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def plain(value):
    """Logical types become what Weir has for them: epoch milliseconds."""
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(milliseconds=1)
    raise TypeError(type(value).__name__)


def write(client, request):
    references = [SchemaReference(r["name"], r["subject"], r["version"]) for r in request.get("references", [])]
    for reference, text in zip(references, request.get("referred", [])):
        client.register_schema(reference.subject, Schema(text, "AVRO"))
    schema = Schema(request["schema"], "AVRO", references)
    serialize = AvroSerializer(client, schema, conf={"auto.register.schemas": True})
    context = SerializationContext(request["topic"], MessageField.VALUE)
    return {"records": [base64.b64encode(serialize(value, context)).decode() for value in request["values"]]}


def read(client, request):
    deserialize = AvroDeserializer(client)
    context = SerializationContext(request["topic"], MessageField.VALUE)
    return {"values": [deserialize(base64.b64decode(record), context) for record in request["records"]]}


def main():
    client = SchemaRegistryClient({"url": sys.argv[1]})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"write": write, "read": read}[request["do"]](client, request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=plain), flush=True)


main()
