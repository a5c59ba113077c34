"""The version of the service, which is the client's too."""

VERSION = "0.1.0"
