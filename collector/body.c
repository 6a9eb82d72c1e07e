#include "collector/body.h"

#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/edge/gzip.h"

int body_open(struct body *ret_body, struct str sent, bool is_gzip, size_t max_bytes,
              struct budget *in_hand)
{
    char  *bytes;
    size_t n_bytes;

    *ret_body = (struct body){.bytes = sent, .budget = in_hand};
    if (!is_gzip)
        return 0;

    int r = gzip_inflate(sent, max_bytes, in_hand, &bytes, &n_bytes);
    if (r < 0)
        return r;
    ret_body->bytes = (struct str){bytes, n_bytes};
    ret_body->inflated = bytes;
    return 0;
}

void body_close(struct body *body)
{
    if (!body->inflated)
        return;

    free(take(body->inflated));
    budget_release(body->budget, body->bytes.len);
}
