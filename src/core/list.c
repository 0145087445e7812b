#include "core/internal.h"
#include "core/record.h"

bool kw__leb128_read_long(struct kw_bytes *rest, uint64_t *value_out)
{
    uint64_t value = 0;
    size_t size_max = rest->size < KW_LEB128_MAX ? rest->size : KW_LEB128_MAX;
    for (size_t i = 0; i < size_max; i++) {
        uint64_t part = rest->data[i] & 0x7f;
        if (i == KW_LEB128_MAX - 1 && part > 1) {
            return false; /* beyond 64 bits */
        }
        value |= part << (7 * i);
        if (rest->data[i] < 0x80) {
            if (part == 0 && i != 0) {
                return false; /* a shorter form says the same */
            }
            *value_out = value;
            *rest = (struct kw_bytes){rest->data + i + 1, rest->size - i - 1};
            return true;
        }
    }
    return false;
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
