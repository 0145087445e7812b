/* Logs for the tests of the chain: lines that differ, sealed one after the other. */
#ifndef KW_TESTS_UNIT_CORE_AUDIT_LOG_H
#define KW_TESTS_UNIT_CORE_AUDIT_LOG_H

#include "core/audit.h"
#include "support/test.h"

#define AUDIT_LOG_LINES 6

struct audit_entry {
    struct kw_audit_line line;
    struct kw_audit_seal seal;
    bool has_seal;
};

struct audit_log {
    struct audit_entry entries[AUDIT_LOG_LINES + 1];
    size_t count;
    struct kw_audit_chain head;
};

struct kw_id audit_log_id(uint8_t number);
struct kw_audit_line audit_log_line(size_t number);
void audit_log_seal(struct audit_log *log);
struct audit_log audit_log_new(size_t count);
struct kw_audit_proof audit_log_prove(const struct audit_log *log, const struct kw_audit_chain *expected);
void audit_log_fault(struct test *t, const struct kw_audit_proof *proof, enum kw_audit_fault fault, uint64_t sequence,
                     uint64_t place);

#endif
