"""Ends with status 0 while Turnout serves, by grpc.health.v1: healthcheck.py [ADDRESS [SERVICE]].

The default asks whether the process runs. Ask for the service "" to know whether it can answer.
"""

import sys

import grpc
from grpc_health.v1 import health_pb2

TIMEOUT_S = 2.0


def main(address: str = "127.0.0.1:7080", service: str = "turnout.live") -> int:
    """The exit status."""
    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            print(f"{address}: {error.code().name}: {error.details()}")
            return 1
    print(f"{address}: {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}")
    return int(answer.status != health_pb2.HealthCheckResponse.SERVING)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
