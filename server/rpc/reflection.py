"""Reflection: a listener describes the services that it serves, and nothing else.

Clients ask for version v1 first; those of before 2023 know v1alpha alone. Both are served.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import grpc
from google.protobuf import text_format
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import Default, DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha._async import ReflectionServicer

_ALPHA = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name
_V1 = _ALPHA.replace("v1alpha", "v1")
REFLECTION = (_V1, _ALPHA)
# enable_server_reflection takes servers that are not grpcio's for servers with threads.
_add_alpha: Callable[[ReflectionServicer, grpc.aio.Server], None] = (
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server
)


def add_reflection(server: grpc.aio.Server, services: Sequence[str]) -> None:
    """Has the server list and describe exactly these and, beside them, reflection itself."""
    servicer = ReflectionServicer((*services, *REFLECTION), pool=_pool((*services, _ALPHA)))
    _add_alpha(servicer, server)
    server.add_generic_rpc_handlers((_v1_handlers(servicer),))


def _v1_handlers(servicer: ReflectionServicer) -> grpc.GenericRpcHandler:
    """Both versions have the same messages on the wire, so one servicer answers for both."""
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(_V1, {"ServerReflectionInfo": handler})


def _pool(services: Sequence[str]) -> DescriptorPool:
    """A pool of its own, for that of the process has the services of other listeners too."""
    pool = DescriptorPool()
    for file in _files(services):
        proto = _proto_of(file)
        kept = [s for s in proto.service if file.services_by_name[s.name].full_name in services]
        del proto.service[:]
        proto.service.extend(kept)
        pool.Add(proto)
    pool.Add(_v1_file())
    return pool


def _v1_file() -> FileDescriptorProto:
    """Made from v1alpha's, for grpcio-reflection has no v1; they differ in their names alone."""
    alpha = text_format.MessageToString(_proto_of(Default().FindServiceByName(_ALPHA).file))
    renamed = alpha.replace("grpc_reflection/v1alpha", "grpc/reflection/v1")
    return text_format.Parse(renamed.replace("v1alpha", "v1"), FileDescriptorProto())


def _proto_of(file: FileDescriptor) -> FileDescriptorProto:
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    return proto


def _files(services: Iterable[str]) -> Iterator[FileDescriptor]:
    """The files of the services and all that these import, which come first."""
    found: dict[str, FileDescriptor] = {}

    def find(file: FileDescriptor) -> None:
        for imported in file.dependencies:
            find(imported)
        found[file.name] = file

    for service in services:
        find(Default().FindServiceByName(service).file)
    return iter(found.values())
