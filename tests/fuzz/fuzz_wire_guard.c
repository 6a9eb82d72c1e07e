/*
 * What the guard lets pass, protobuf-c must unpack on a small stack, into a tree
 * that keeps the limits.
 */

#include <assert.h>
#include <pthread.h>

#include "common/base/wire_guard.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"
#include "tests/fuzz/fuzz.h"
#include "tracehop/v1/hop.pb-c.h"

/* protobuf-c takes about 2 KiB of stack for a level, and the sanitizers their share. */
enum { STACK_BYTES = 256 * 1024 };

static const struct wire_limits limits = {.max_depth = 32, .max_fields = 10000};

static void check_tree(const ProtobufCMessage *message, unsigned depth, unsigned *n_messages);

static void check_field(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                        unsigned depth, unsigned *n_messages)
{
    const char *at = (const char *)message;
    const void *member = at + field->offset;

    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t n = *(const size_t *)(const void *)(at + field->quantifier_offset);
        ProtobufCMessage *const *const children = *(ProtobufCMessage *const *const *)member;
        for (size_t i = 0; i < n; i++)
            check_tree(children[i], depth, n_messages);
        return;
    }

    /* The members of a oneof share one place. */
    bool is_oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    if (is_oneof && *(const uint32_t *)(const void *)(at + field->quantifier_offset) != field->id)
        return;
    const ProtobufCMessage *child = *(const ProtobufCMessage *const *)member;
    if (child)
        check_tree(child, depth, n_messages);
}

static void check_tree(const ProtobufCMessage *message, unsigned depth, unsigned *n_messages)
{
    assert(depth <= limits.max_depth);
    assert(++*n_messages <= limits.max_fields + 1);

    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (field->type == PROTOBUF_C_TYPE_MESSAGE)
            check_field(message, field, depth + 1, n_messages);
    }
}

static void unpack(const ProtobufCMessageDescriptor *descriptor, struct str input)
{
    unsigned          n_messages = 0;
    ProtobufCMessage *message =
        protobuf_c_message_unpack(descriptor, NULL, input.len, (const uint8_t *)input.at);

    if (message)
        check_tree(message, 0, &n_messages);
    protobuf_c_message_free_unpacked(message, NULL);
}

static void *unpack_all(void *context)
{
    const struct str *input = context;

    unpack(&tracehop__v1__call_reply__descriptor, *input);
    unpack(&opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
           *input);
    return NULL;
}

static void on_a_small_stack(void *(*run)(void *), void *context)
{
    pthread_attr_t attributes;
    pthread_t      thread;

    assert(pthread_attr_init(&attributes) == 0);
    assert(pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0);
    assert(pthread_create(&thread, &attributes, run, context) == 0);
    assert(pthread_join(thread, NULL) == 0);
    assert(pthread_attr_destroy(&attributes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = fuzz_input(data, size);

    if (wire_guard(input, limits) == 0)
        on_a_small_stack(unpack_all, &input);
    return 0;
}
