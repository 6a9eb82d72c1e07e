#include "common/edge/rpc_reflection.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <google/protobuf/descriptor.pb-c.h>

#include "common/base/arena.h"
#include "common/base/wire.h"
#include "common/edge/proto.h"

/* grpc/reflection/v1/reflection.proto; v1alpha is the same but for its package. */
enum request_field {
    REQUEST_FILE_BY_FILENAME = 3,
    REQUEST_FILE_CONTAINING_SYMBOL = 4,
    REQUEST_FILE_CONTAINING_EXTENSION = 5,
    REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE = 6,
    REQUEST_LIST_SERVICES = 7,
};
enum response_field {
    RESPONSE_ORIGINAL_REQUEST = 2,
    RESPONSE_FILE_DESCRIPTOR = 4,
    RESPONSE_ALL_EXTENSION_NUMBERS = 5,
    RESPONSE_LIST_SERVICES = 6,
    RESPONSE_ERROR = 7,
};
enum {
    FILE_DESCRIPTOR_PROTO = 1,
    EXTENSION_BASE_TYPE_NAME = 1,
    LIST_SERVICES_SERVICE = 1,
    SERVICE_NAME = 1,
    ERROR_CODE = 1,
    ERROR_MESSAGE = 2,
};

enum {
    MAX_FILES = 32,
    DESCRIPTORS_ARENA_BYTES = 4 * 1024 * 1024, /* of our own descriptors, unpacked */
    RESPONSE_OVERHEAD_BYTES = 4096,            /* all of a response but the file descriptors */
    MAX_ECHO_BYTES = 1024,                     /* of the request, in an answer */
};

struct file {
    struct str                                   bytes; /* serialized FileDescriptorProto */
    const Google__Protobuf__FileDescriptorProto *descriptor;
};

struct rpc_reflection {
    struct arena      *arena; /* the unpacked descriptors */
    const char *const *services;
    struct file        files[MAX_FILES];
    size_t             n_files;
};

/* The files of one answer: one bit each, so that gathering touches nothing shared. */
typedef uint32_t file_set;
_Static_assert(MAX_FILES <= 32, "file_set has one bit per file");

static int read_files(struct rpc_reflection *reflection, struct str descriptor_set)
{
    static const struct wire_limits own_descriptors = {.max_depth = 100, .max_fields = 1000000};
    struct wire_cursor              cursor = wire_cursor(descriptor_set);
    struct wire_field               field;

    while (wire_next(&cursor, &field)) {
        if (reflection->n_files == MAX_FILES)
            return -EBADMSG;

        struct file *file = &reflection->files[reflection->n_files];
        file->bytes = field.bytes;
        file->descriptor = proto_unpack(&google__protobuf__file_descriptor_proto__descriptor,
                                        field.bytes, own_descriptors, reflection->arena);
        if (!file->descriptor)
            return -EBADMSG;
        reflection->n_files++;
    }
    return cursor.is_bad ? -EBADMSG : 0;
}

static int open_files(struct rpc_reflection *reflection, struct str descriptor_set)
{
    reflection->arena = arena_new(DESCRIPTORS_ARENA_BYTES);
    if (!reflection->arena)
        return -ENOMEM;
    return read_files(reflection, descriptor_set);
}

int rpc_reflection_new(struct rpc_reflection **ret_reflection, struct str descriptor_set,
                       const char *const services[])
{
    struct rpc_reflection *reflection = calloc(1, sizeof(*reflection));
    if (!reflection)
        return -ENOMEM;

    reflection->services = services;
    int r = open_files(reflection, descriptor_set);
    if (r < 0) {
        rpc_reflection_free(reflection);
        return r;
    }
    *ret_reflection = reflection;
    return 0;
}

void rpc_reflection_free(struct rpc_reflection *reflection)
{
    if (!reflection)
        return;

    arena_free(reflection->arena);
    free(reflection);
}

/* Cuts the first name of a dotted path off when it is `name`: "a.b" minus "a" is "b". */
static bool path_step(struct str *path, const char *name)
{
    struct str step = str_from(name);

    if (!str_starts_with(*path, step))
        return false;
    if (path->len == step.len) {
        *path = STR("");
        return true;
    }
    if (path->at[step.len] != '.')
        return false;

    path->at += step.len + 1;
    path->len -= step.len + 1;
    return true;
}

static bool enum_has(const Google__Protobuf__EnumDescriptorProto *descriptor, struct str path)
{
    return path_step(&path, descriptor->name) && str_is_empty(path);
}

static bool message_has(const Google__Protobuf__DescriptorProto *message, struct str path)
{
    if (!path_step(&path, message->name))
        return false;
    if (str_is_empty(path))
        return true;

    for (size_t i = 0; i < message->n_nested_type; i++) {
        if (message_has(message->nested_type[i], path))
            return true;
    }
    for (size_t i = 0; i < message->n_enum_type; i++) {
        if (enum_has(message->enum_type[i], path))
            return true;
    }
    for (size_t i = 0; i < message->n_field; i++) {
        if (str_equal(str_from(message->field[i]->name), path))
            return true;
    }
    return false;
}

static bool service_has(const Google__Protobuf__ServiceDescriptorProto *service, struct str path)
{
    if (!path_step(&path, service->name))
        return false;
    if (str_is_empty(path))
        return true;

    for (size_t i = 0; i < service->n_method; i++) {
        if (str_equal(str_from(service->method[i]->name), path))
            return true;
    }
    return false;
}

static bool file_has(const Google__Protobuf__FileDescriptorProto *file, struct str symbol)
{
    if (file->package && file->package[0] && !path_step(&symbol, file->package))
        return false;

    for (size_t i = 0; i < file->n_message_type; i++) {
        if (message_has(file->message_type[i], symbol))
            return true;
    }
    for (size_t i = 0; i < file->n_enum_type; i++) {
        if (enum_has(file->enum_type[i], symbol))
            return true;
    }
    for (size_t i = 0; i < file->n_service; i++) {
        if (service_has(file->service[i], symbol))
            return true;
    }
    return false;
}

static int file_by_name(const struct rpc_reflection *reflection, struct str name)
{
    for (size_t i = 0; i < reflection->n_files; i++) {
        if (str_equal(str_from(reflection->files[i].descriptor->name), name))
            return (int)i;
    }
    return -ENOENT;
}

static int file_by_symbol(const struct rpc_reflection *reflection, struct str symbol)
{
    for (size_t i = 0; i < reflection->n_files; i++) {
        if (file_has(reflection->files[i].descriptor, symbol))
            return (int)i;
    }
    return -ENOENT;
}

static bool knows_message(const struct rpc_reflection *reflection, struct str type)
{
    return file_by_symbol(reflection, type) >= 0;
}

/* `first` and all that it imports, directly or not. */
static file_set with_imports(const struct rpc_reflection *reflection, int first, file_set set)
{
    if (set & (1u << first))
        return set;
    set |= 1u << first;

    const Google__Protobuf__FileDescriptorProto *file = reflection->files[first].descriptor;
    for (size_t i = 0; i < file->n_dependency; i++) {
        int import = file_by_name(reflection, str_from(file->dependency[i]));
        if (import >= 0)
            set = with_imports(reflection, import, set);
    }
    return set;
}

static void put_files(const struct rpc_reflection *reflection, file_set set,
                      struct wire_writer *writer)
{
    const uint8_t *end = writer->at;

    for (size_t i = 0; i < reflection->n_files; i++) {
        if (set & (1u << i))
            wire_put_bytes(writer, FILE_DESCRIPTOR_PROTO, reflection->files[i].bytes);
    }
    wire_close(writer, RESPONSE_FILE_DESCRIPTOR, end);
}

static void put_services(const struct rpc_reflection *reflection, struct wire_writer *writer)
{
    const uint8_t *end = writer->at;
    size_t         n_services = 0;

    while (reflection->services[n_services])
        n_services++;
    while (n_services-- > 0) { /* written backwards */
        const uint8_t *service_end = writer->at;
        wire_put_bytes(writer, SERVICE_NAME, str_from(reflection->services[n_services]));
        wire_close(writer, LIST_SERVICES_SERVICE, service_end);
    }
    wire_close(writer, RESPONSE_LIST_SERVICES, end);
}

static void put_error(enum status status, struct str message, struct wire_writer *writer)
{
    const uint8_t *end = writer->at;

    wire_put_bytes(writer, ERROR_MESSAGE, message);
    wire_put_varint(writer, ERROR_CODE, status);
    wire_close(writer, RESPONSE_ERROR, end);
}

/* None of our messages is proto2, so none has extensions. */
static void put_no_extensions(const struct rpc_reflection *reflection, struct str type,
                              struct wire_writer *writer)
{
    if (!knows_message(reflection, type)) {
        put_error(STATUS_NOT_FOUND, STR("no such type"), writer);
        return;
    }

    const uint8_t *end = writer->at;
    wire_put_bytes(writer, EXTENSION_BASE_TYPE_NAME, type);
    wire_close(writer, RESPONSE_ALL_EXTENSION_NUMBERS, end);
}

static void put_file(const struct rpc_reflection *reflection, int file, struct wire_writer *writer)
{
    if (file < 0)
        put_error(STATUS_NOT_FOUND, STR("no such file or symbol"), writer);
    else
        put_files(reflection, with_imports(reflection, file, 0), writer);
}

/* The one thing that a ServerReflectionRequest asks. False: it is not one, or asks nothing. */
static bool read_question(struct str request, struct wire_field *ret_question)
{
    struct wire_cursor cursor = wire_cursor(request);
    struct wire_field  field;
    bool               is_found = false;

    while (wire_next(&cursor, &field)) {
        if (field.type != WIRE_BYTES || field.number < REQUEST_FILE_BY_FILENAME ||
            field.number > REQUEST_LIST_SERVICES)
            continue;
        *ret_question = field;
        is_found = true;
    }
    return is_found && !cursor.is_bad;
}

static void put_answer(const struct rpc_reflection *reflection, struct str request,
                       struct wire_writer *writer)
{
    struct wire_field question;
    if (!read_question(request, &question)) {
        put_error(STATUS_INVALID_ARGUMENT, STR("not a request that is known here"), writer);
        return;
    }

    switch ((enum request_field)question.number) {
    case REQUEST_FILE_BY_FILENAME:
        put_file(reflection, file_by_name(reflection, question.bytes), writer);
        break;
    case REQUEST_FILE_CONTAINING_SYMBOL:
        put_file(reflection, file_by_symbol(reflection, question.bytes), writer);
        break;
    case REQUEST_FILE_CONTAINING_EXTENSION:
        put_error(STATUS_NOT_FOUND, STR("no such extension"), writer);
        break;
    case REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
        put_no_extensions(reflection, question.bytes, writer);
        break;
    case REQUEST_LIST_SERVICES:
        put_services(reflection, writer);
        break;
    }
}

static size_t largest_response(const struct rpc_reflection *reflection)
{
    size_t size = RESPONSE_OVERHEAD_BYTES;

    for (size_t i = 0; i < reflection->n_files; i++)
        size += reflection->files[i].bytes.len + 16;
    return size;
}

static void read_next(struct rpc_call *call, bool ok, void *context);

static void answer_request(struct rpc_call *call, struct str request, void *context)
{
    const struct rpc_reflection *reflection = context;
    if (!request.at) {
        rpc_stream_finish(call, STATUS_OK, STR(""));
        return;
    }
    if (request.len > MAX_ECHO_BYTES) {
        rpc_stream_finish(call, STATUS_INVALID_ARGUMENT, STR("the request is too long"));
        return;
    }

    size_t size = largest_response(reflection);
    void  *buffer = malloc(size);
    if (!buffer) {
        rpc_stream_finish(call, STATUS_RESOURCE_EXHAUSTED, STR("out of memory"));
        return;
    }
    struct wire_writer writer = wire_writer(buffer, size);
    put_answer(reflection, request, &writer);
    wire_put_bytes(&writer, RESPONSE_ORIGINAL_REQUEST, request);
    assert(!writer.is_full);
    rpc_stream_write(call, wire_written(&writer), read_next, context);
    free(buffer);
}

static void read_next(struct rpc_call *call, bool ok, void *context)
{
    (void)ok; /* when the caller is gone, the read says so */
    rpc_stream_read(call, answer_request, context);
}

static void handle_stream(struct rpc_call *call, void *context)
{
    rpc_stream_read(call, answer_request, context);
}

void rpc_reflection_add_to(struct rpc_reflection *reflection, struct rpc_server *server)
{
    rpc_server_add_stream(server, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                          handle_stream, reflection);
    rpc_server_add_stream(server, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                          handle_stream, reflection);
}
