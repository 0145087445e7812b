/*
 * Amounts of a metric (requests, tokens, cost): decimals that are exact to six places, kept as whole millionths.
 */
#ifndef KW_CORE_AMOUNT_H
#define KW_CORE_AMOUNT_H

#include "base/json.h"
#include <keyward/record.h>

#define KW_AMOUNT_TEXT_MAX 24

/*
 * A number as JSON writes it: "1500", "0.002", "2e-3". KW_E_INVALID when it is none, is below 0 or above KW_AMOUNT_MAX,
 * or has more than six places; `why_out` is then what is wrong, to stand after the name of the field, and `out`
 * untouched. Zeros at the end are no places.
 */
KW_MUST_USE enum kw_status kw_amount_parse(struct kw_bytes number, int64_t *out, const char **why_out);

/* The shortest decimal that parses to the same amount, no exponent. Returns its size; no NUL is written. */
size_t kw_amount_format(int64_t amount, char out[KW_AMOUNT_TEXT_MAX]);

/* As a member of an object. */
void kw_amount_write_json(struct kw_json_writer *writer, const char *name, int64_t amount);

#endif
