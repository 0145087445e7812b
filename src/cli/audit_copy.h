/*
 * A copy of an audit log, as `keyward audit export` writes it, proved line by line as it comes: from a server, or from
 * a file. What is known of the log otherwise (a head, checkpoints that were kept elsewhere, a public key) is held
 * against it.
 */
#ifndef KW_CLI_AUDIT_COPY_H
#define KW_CLI_AUDIT_COPY_H

#include "cli/cli.h"
#include "core/audit.h"
#include "core/checkpoint.h"

struct kw_copy_proof {
    struct kw_audit_proof proof;
    bool has_key; /* somebody said which key to trust; else it is the one that the copy names */
    uint8_t public_key[KW_PUBLIC_KEY_SIZE];
    const char *held_path; /* a file of checkpoints; NULL: none */
    struct kw_audit_chain *held;
    size_t held_count, held_capacity, held_used;
    bool has_foreign; /* the copy has checkpoints of another key */

    struct kw_bytes project; /* of the first line; in `memory` */
    uint8_t memory[KW_PROJECT_MAX];
    bool has_project;
    uint64_t entries, line_count;
    bool has_ended;          /* the last line was there */
    struct kw_buffer unread; /* the part of a line that has come */
    struct kw_error *error;
};

/* `head`: of an earlier proof; place 0: none. `public_key` NULL: none is known. All is borrowed until the end. */
void kw_copy_begin(struct kw_copy_proof *copy, const struct kw_audit_chain *head, const uint8_t *public_key,
                   const char *held_path, struct kw_error *error);
/* The next bytes. Fails with copy->error set where this is no copy of a log. */
KW_MUST_USE enum kw_status kw_copy_add(struct kw_copy_proof *copy, struct kw_bytes piece);
/* There are no more: fails where the copy was cut off. Then the proof says what it came to. */
KW_MUST_USE enum kw_status kw_copy_end(struct kw_copy_proof *copy);
/* The same with what a file holds, from its begin to its end. */
KW_MUST_USE enum kw_status kw_copy_of_file(struct kw_copy_proof *copy, const char *path);
void kw_copy_deinit(struct kw_copy_proof *copy);

#endif
