#include "core/internal.h"
#include "core/record.h"

struct kw__number kw__leb128_long(struct kw_bytes bytes)
{
    const struct kw__number none = {0, 0};
    uint64_t value = 0;
    size_t size_max = bytes.size < KW_LEB128_MAX ? bytes.size : KW_LEB128_MAX;
    for (size_t i = 0; i < size_max; i++) {
        uint64_t part = bytes.data[i] & 0x7f;
        if (i == KW_LEB128_MAX - 1 && part > 1) {
            return none; /* beyond 64 bits */
        }
        value |= part << (7 * i);
        if (bytes.data[i] < 0x80) {
            /* Of what ends in a zero a shorter form says the same. */
            return part == 0 && i != 0 ? none : (struct kw__number){value, i + 1};
        }
    }
    return none;
}

bool kw_list_next(struct kw_bytes *rest, struct kw_bytes *item_out)
{
    return kw__list_next(rest, item_out);
}

void kw_list_add(struct kw_buffer *packed, struct kw_bytes item)
{
    uint8_t size[KW_LEB128_MAX];
    kw_buffer_add(packed, kw_bytes_of(size, kw__leb128_write(item.size, size)));
    kw_buffer_add(packed, item);
}
