#include "audit_log.h"

#include <string.h>

struct kw_id audit_log_id(uint8_t number)
{
    struct kw_id id = {{0}};
    id.bytes[15] = number;
    return id;
}

struct kw_audit_line audit_log_line(size_t number)
{
    return (struct kw_audit_line){
        .sequence = 10 * (uint64_t)number,
        .at_ms = 1700000000000 + (int64_t)number,
        .project = KW_BYTES("default"),
        .key_id = audit_log_id((uint8_t)number),
        .owner = KW_BYTES("user:1"),
        .actor = KW_BYTES("key:key_00000000000000000000000001"),
        .action = KW_BYTES("key.updated"),
        .context = KW_BYTES("{\"reason\":\"moved\"}"),
        .details = KW_BYTES("{\"changes\":{\"name\":{\"from\":\"a\",\"to\":\"b\"}}}"),
    };
}

void audit_log_seal(struct audit_log *log)
{
    log->head = (struct kw_audit_chain){.place = 0};
    for (size_t i = 0; i < log->count; i++) {
        uint8_t salt[KW_AUDIT_SALT_SIZE];
        memset(salt, (int)(i + 1), sizeof salt);
        kw_audit_seal(&log->head, &log->entries[i].line, salt, &log->entries[i].seal);
        log->entries[i].has_seal = true;
    }
}

struct audit_log audit_log_new(size_t count)
{
    struct audit_log log = {.count = count};
    for (size_t i = 0; i < count; i++) {
        log.entries[i].line = audit_log_line(i + 1);
    }
    audit_log_seal(&log);
    return log;
}

struct kw_audit_proof audit_log_prove(const struct audit_log *log, const struct kw_audit_chain *expected)
{
    struct kw_audit_proof proof;
    kw_audit_proof_begin(&proof, expected);
    for (size_t i = 0; i < log->count; i++) {
        const struct audit_entry *entry = &log->entries[i];
        kw_audit_proof_add(&proof, &entry->line, entry->has_seal ? &entry->seal : NULL);
    }
    kw_audit_proof_end(&proof);
    return proof;
}

void audit_log_fault(struct test *t, const struct kw_audit_proof *proof, enum kw_audit_fault fault, uint64_t sequence,
                     uint64_t place)
{
    CHECK_TEXT(t, kw_audit_fault_name(proof->fault), kw_audit_fault_name(fault));
    CHECK_I64(t, proof->fault_sequence, sequence);
    CHECK_I64(t, proof->fault_place, place);
}
