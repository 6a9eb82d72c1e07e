#pragma once

/* The descriptor set of everything that is served, as protoc wrote it (proto/CMakeLists.txt). */

#include <stddef.h>

extern const unsigned char proto_descriptors[];
extern const size_t        proto_descriptors_size;
