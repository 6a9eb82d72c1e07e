"""What tests of running programs are written with: hops, peers that behave and peers that do not,
and eyes on the wire. Only Python's standard library, and Debian's grpcio and protobuf as the
independent implementation of gRPC.
"""
