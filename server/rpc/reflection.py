"""Reflection: a listener describes the services that it serves, and nothing else."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import grpc
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import Default, DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha._async import ReflectionServicer

REFLECTION = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name
# enable_server_reflection takes servers that are not grpcio's for servers with threads.
_add: Callable[[ReflectionServicer, grpc.aio.Server], None] = (
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server
)


def add_reflection(server: grpc.aio.Server, services: Sequence[str]) -> None:
    """Has the server list and describe exactly these."""
    _add(ReflectionServicer(services, pool=_pool(services)), server)


def _pool(services: Sequence[str]) -> DescriptorPool:
    """Apart from the process's own, in which the services of other listeners are too."""
    pool = DescriptorPool()
    for file in _files(services):
        proto = FileDescriptorProto()
        file.CopyToProto(proto)
        kept = [s for s in proto.service if file.services_by_name[s.name].full_name in services]
        del proto.service[:]
        proto.service.extend(kept)
        pool.Add(proto)
    return pool


def _files(services: Iterable[str]) -> Iterator[FileDescriptor]:
    """Those of the services and all that they import, what is imported first."""
    found: dict[str, FileDescriptor] = {}

    def find(file: FileDescriptor) -> None:
        for imported in file.dependencies:
            find(imported)
        found[file.name] = file

    for service in services:
        find(Default().FindServiceByName(service).file)
    return iter(found.values())
