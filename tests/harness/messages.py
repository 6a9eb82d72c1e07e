"""The messages on the wire, by name, from the descriptor set that the build made."""

import functools

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from harness import build


@functools.lru_cache(maxsize=None)
def _pool():
    files = descriptor_pb2.FileDescriptorSet()
    files.ParseFromString((build.folder() / "proto/descriptors.binpb").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool


@functools.lru_cache(maxsize=None)
def message(name):
    """The class of a message: message("tracehop.v1.CallReply")."""
    return message_factory.MessageFactory(_pool()).GetPrototype(_pool().FindMessageTypeByName(name))
