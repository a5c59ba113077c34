"""How many bytes a request of each method may have, of those that a worker serves."""

from collections.abc import Mapping

_KIB, _MIB = 2**10, 2**20
# Larger than any tensor request in common use.
PAYLOAD_BYTES_MAX = 64 * _MIB
# The rest is for context and features.
_INFER = PAYLOAD_BYTES_MAX + _MIB
# A chat with its pictures.
_INFER_STREAM = 16 * _MIB + _MIB
# A text is read at both ends only, and tensors may be left out: a larger request says no more.
_ROUTE = 16 * _MIB
# 10,000 requests of 1.6 KB each.
_BATCH = 16 * _MIB
# 1,000 outcomes of 4 KiB each.
_REPORT = 4 * _MIB
# A name or nothing at all. What a later version may add is kept by protobuf as it came.
_SMALL = 64 * _KIB

MESSAGE_BYTES_MAX: Mapping[str, int] = {
    "/turnout.v1.RoutingService/Route": _ROUTE,
    "/turnout.v1.RoutingService/RouteBatch": _BATCH,
    "/turnout.v1.RoutingService/Infer": _INFER,
    "/turnout.v1.RoutingService/InferStream": _INFER_STREAM,
    "/turnout.v1.RoutingService/Report": _REPORT,
    "/inference.GRPCInferenceService/ModelInfer": _INFER,
    "/inference.GRPCInferenceService/ServerLive": _SMALL,
    "/inference.GRPCInferenceService/ServerReady": _SMALL,
    "/inference.GRPCInferenceService/ServerMetadata": _SMALL,
    "/inference.GRPCInferenceService/ModelReady": _SMALL,
    "/inference.GRPCInferenceService/ModelMetadata": _SMALL,
    "/grpc.health.v1.Health/Check": _SMALL,
    "/grpc.health.v1.Health/Watch": _SMALL,
    "/grpc.health.v1.Health/List": _SMALL,
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": _SMALL,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _SMALL,
}
