"""Puts and gets a thing, and walks from one that is not there, with nothing but an address: services and messages come from server reflection."""

import sys

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

channel = grpc.insecure_channel(sys.argv[1])
database = ProtoReflectionDescriptorDatabase(channel)
assert "annals.things.v1.ThingsService" in database.get_services()
pool = descriptor_pool.DescriptorPool(database)
service = pool.FindServiceByName("annals.things.v1.ThingsService")


def call(name, fields, is_stream=False):
    method = service.FindMethodByName(name)
    request = message_factory.GetMessageClass(method.input_type)(**fields)
    answer = message_factory.GetMessageClass(method.output_type)
    make = channel.unary_stream if is_stream else channel.unary_unary
    stub = make(
        f"/{service.full_name}/{name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answer.FromString,
    )
    return stub(request, timeout=10)


call("PutThing", {"thing": {"key": {"ns": "river", "id": "Lower gauge"}, "type": "Gauge", "content": "low"}})
thing = call("GetThing", {"key": {"path": "river/Lower_gauge"}})
print(thing.url, thing.type, thing.content)
try:
    list(call("Traverse", {"thing": {"path": "river/none"}}, is_stream=True))
except grpc.RpcError as error:
    print(error.code().name, error.details())
