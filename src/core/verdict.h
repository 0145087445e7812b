/*
 * The one decision on a request: (entry, request, now) -> verdict, whatever path the request came by. An entry is what
 * an index keeps of a record: what decisions read stands first, in one cache line and a bit; the whole encoding
 * follows. An uncached record becomes an entry before it is decided on, so there is no second way.
 */
#ifndef KW_CORE_VERDICT_H
#define KW_CORE_VERDICT_H

#include "core/address.h"
#include "core/digest.h"
#include "core/id.h"
#include "core/policy.h"
#include "core/record.h"
#include "core/region.h"
#include <keyward/codes.h>
#include <keyward/missing.h>
#include <keyward/record.h>
#include <string.h>

/* Flags of an entry, ready to be tested together: an active key has none of the bad ones. */
enum {
    KW_ENTRY_REVOKED = 1 << 0,
    KW_ENTRY_DISABLED = 1 << 1,
    KW_ENTRY_LAPSED = 1 << 2,     /* an expiry that has passed, and the record says so */
    KW_ENTRY_ERASED = 1 << 3,     /* a tombstone: as if unknown */
    KW_ENTRY_ENDS_GRACE = 1 << 4, /* its first use is to be told, and has not been: taken away in place */
    /* Set in place. A time was seen to have passed, and the record does not say so yet: it stays passed all the same.
     */
    KW_ENTRY_SEEN_LAPSED = 1 << 5,
    KW_ENTRY_SEEN_ENDED = 1 << 6, /* a time from which it is revoked */
    KW_ENTRY_NOTED = 1 << 7,      /* and the command that will say so is on its way */
};

/* What is not asked of every key. */
enum {
    KW_ENTRY_IMPORTED = 1 << 0,
    KW_ENTRY_BOUNDS_OTHERS = 1 << 1, /* or may: its extra says where */
    KW_ENTRY_LIMITED = 1 << 4,       /* it has rate limits or quotas */
    KW_ENTRY_EXTENDED = 1 << 5,      /* it has a struct kw_entry_extra */
    KW_ENTRY_BOUNDED = 1 << 6,       /* it has a struct kw_entry_bounds */
    /* Set in place, as long as the process lives: */
    KW_ENTRY_CHECKED = 1 << 2,       /* of an imported key: the store was asked for it under all methods */
    KW_ENTRY_SEEN_DISABLED = 1 << 7, /* as KW_ENTRY_SEEN_LAPSED, beside KW_ENTRY_DISABLED: its schedule's time to */
    KW_ENTRY_MOVING = 1 << 3,        /* the command that moves it to its project's own method is on its way */
};

struct kw_entry;

#define KW_FAMILY_DEPTH_MAX 8 /* generations below the first parent */

/*
 * Where the entry that bounds others is found now: that of the newest key of a parent's line. A key that stands under
 * bounds may do what all of them and its own record allow.
 */
struct kw_bound {
    struct kw_id id;        /* of the parent's lineage */
    struct kw_entry *entry; /* atomic; NULL: not known (yet) */
    uint64_t changes;       /* atomic; grows before and after each change of what stands here: odd in between */
    /*
     * What a good child's verification reads of `entry`, so that it need not fetch that too. All atomic, and of one
     * moment only where `changes` is the same before and after.
     */
    int64_t good_until_ms;   /* it is not refused before by itself; INT64_MIN: look at the entry */
    struct kw_bound *parent; /* its own, as is the next; NULL: none */
    const struct kw_policy_bound *policy;
    uint64_t within; /* as in an entry; the mark holds `changes` of this bound too */
};

/* Where a policy is found as it is now. Every key that names it stands under it. */
struct kw_policy_bound {
    const struct kw_policy *policy; /* atomic; NULL: there is none of that name, and no key under it passes */
    uint64_t changes;               /* atomic; grows after each change of `policy` */
    struct kw_bytes name;
};

#define KW_ENTRY_NEVER ((UINT64_C(1) << 48) - 1) /* as a time: later than any */

struct kw_entry {
    uint8_t digest[KW_DIGEST_INDEX_SIZE];
    uint64_t stops_at_ms : 48; /* it expires or is disabled, whichever comes first; KW_ENTRY_NEVER: never */
    uint64_t env_at : 16;      /* in record[], as are the places below */
    uint64_t ends_at_ms : 48;  /* it is revoked, by the end of a grace period or its schedule; as above */
    uint64_t project : 16;     /* number of the project, given by the engine */
    uint64_t version;
    uint8_t flags;
    uint8_t marks;
    uint8_t method; /* of its digest */
    uint8_t env_size;
    uint8_t scope_count, resource_count;
    uint16_t scopes_at;
    uint64_t uses; /* set in place, by the engine: what was counted here (engine/usage_word.h) */
    uint16_t scopes_size;
    uint16_t resources_at, resources_size;
    uint16_t record_size;
    uint16_t rules_at, rules_size; /* the fields on addresses and regions, which stand in a row */
    uint8_t record[];              /* the encoding (core/record.h), behind the two that follow where there are such */
};

/* What an entry stands under: of a key that has a parent or a policy. */
struct kw_entry_bounds {
    struct kw_bound *parent;              /* NULL: none */
    const struct kw_policy_bound *policy; /* NULL: none */
    /* Set in place: the sum of `changes` of both bounds, shifted, at which this entry was compared with what they show,
     * and KW__WITHIN_… bits for what of it lies within. That need not be asked of them again. Each only grows, so that
     * an equal sum is no change of either. */
    uint64_t within;
};

static inline int64_t kw_entry_stops_at_ms(const struct kw_entry *entry)
{
    return (int64_t)entry->stops_at_ms;
}

static inline int64_t kw_entry_ends_at_ms(const struct kw_entry *entry)
{
    return (int64_t)entry->ends_at_ms;
}

/* What an entry has that bounds others or has limits of its own. Not all have either: memory is spent on entries. */
struct kw_entry_extra {
    struct kw_bound *line; /* that the entry may be shown by */
    /* Set in place, by the engine: where it last found what the key, its owner and its organisation have spent; 0:
     * nowhere. */
    uint64_t spending[KW_PER_ORG + 1];
    uint32_t stamp;      /* set in place, by the engine: under which what the key may spend stands there; 0: none */
    uint16_t limits_at;  /* from record[] on, as are the next: the packed rate limits, behind their number */
    uint16_t quotas_at;  /* the same of quotas. Where there are none of a kind it leads behind `zero` */
    uint16_t lineage_at; /* 0: the key is the first of its line */
    uint8_t zero;
};

/* From record[] on, which is not aligned: first the bounds, then what is extra, then the encoding. */
#define KW__ENTRY_ALIGNED (sizeof(struct kw_entry) - offsetof(struct kw_entry, record))
#define KW__ENTRY_FRONT_MAX (KW__ENTRY_ALIGNED + sizeof(struct kw_entry_bounds) + sizeof(struct kw_entry_extra))

static inline size_t kw__entry_extra_at(unsigned marks)
{
    return KW__ENTRY_ALIGNED + ((marks & KW_ENTRY_BOUNDED) != 0 ? sizeof(struct kw_entry_bounds) : 0);
}

static inline size_t kw__entry_record_at(unsigned marks)
{
    if ((marks & (KW_ENTRY_BOUNDED | KW_ENTRY_EXTENDED)) == 0) {
        return 0;
    }
    return kw__entry_extra_at(marks) + ((marks & KW_ENTRY_EXTENDED) != 0 ? sizeof(struct kw_entry_extra) : 0);
}

/* The marks of the record's entry when it is new. */
unsigned kw_record_marks(const struct kw_record *record);
/* Bytes that the entry of an encoding of that size takes. */
size_t kw_entry_size(unsigned marks, size_t encoding_size);

/* Fills `entry_out` (8-aligned, of the size that the record asks for), under nothing yet. `erased` for a tombstone. */
void kw_entry_make(const struct kw_digest *digest, uint16_t project, bool erased, struct kw_bytes encoding,
                   const struct kw_record *record, struct kw_entry *entry_out);
/*
 * Reads the encoding and makes an entry of it, of up to kw_entry_size(KW_ENTRY_BOUNDED | KW_ENTRY_EXTENDED, …) bytes.
 * `record_out` borrows from `encoding`.
 * KW_E_CORRUPT, KW_E_NEWER as kw_record_decode.
 */
KW_MUST_USE enum kw_status kw_entry_build(const struct kw_digest *digest, uint16_t project, bool erased,
                                          struct kw_bytes encoding, struct kw_entry *entry_out,
                                          struct kw_record *record_out);

/* Finds out what of the entry lies within its bounds, so that its first verification need not. */
void kw_entry_compare(struct kw_entry *entry);

/* From now on children are decided on by this entry; NULL: by nothing. By one thread at a time. */
void kw_bound_show(struct kw_bound *bound, struct kw_entry *entry);

/* Sets flags that speak against a key, of itself and for its children. */
void kw_entry_tell_off(struct kw_entry *entry, unsigned flags);

/* Flags are the one thing that changes in an entry: a time that was seen to have passed sets one, a first use that was
 * told takes one away. */
static inline unsigned kw_entry_flags(const struct kw_entry *entry)
{
    return __atomic_load_n(&entry->flags, __ATOMIC_RELAXED);
}

static inline unsigned kw_entry_marks(const struct kw_entry *entry)
{
    return __atomic_load_n(&entry->marks, __ATOMIC_RELAXED);
}

static inline bool kw_entry_bounds_others(const struct kw_entry *entry)
{
    return (kw_entry_marks(entry) & KW_ENTRY_BOUNDS_OTHERS) != 0;
}

static inline bool kw_entry_is_limited(const struct kw_entry *entry)
{
    return (kw_entry_marks(entry) & KW_ENTRY_LIMITED) != 0;
}

static inline bool kw_entry_has_extra(const struct kw_entry *entry)
{
    return (kw_entry_marks(entry) & KW_ENTRY_EXTENDED) != 0;
}

/* Of an entry that has one. */
static inline struct kw_entry_extra *kw_entry_extra(const struct kw_entry *entry)
{
    uintptr_t at = (uintptr_t)entry->record + kw__entry_extra_at(kw_entry_marks(entry));
    return (struct kw_entry_extra *)at; // NOLINT(performance-no-int-to-ptr)
}

/* NULL: the entry stands under nothing. */
static inline struct kw_entry_bounds *kw_entry_bounds(const struct kw_entry *entry)
{
    uintptr_t at = (uintptr_t)entry->record + KW__ENTRY_ALIGNED;
    bool is_bounded = (kw_entry_marks(entry) & KW_ENTRY_BOUNDED) != 0;
    return is_bounded ? (struct kw_entry_bounds *)at : NULL; // NOLINT(performance-no-int-to-ptr)
}

static inline struct kw_bound *kw_entry_parent(const struct kw_entry *entry)
{
    const struct kw_entry_bounds *above = kw_entry_bounds(entry);
    return above == NULL ? NULL : above->parent;
}

static inline const struct kw_policy_bound *kw_entry_policy(const struct kw_entry *entry)
{
    const struct kw_entry_bounds *above = kw_entry_bounds(entry);
    return above == NULL ? NULL : above->policy;
}

/* The packed quotas of the entry's own record: kw_quotas_next reads them. */
struct kw_list kw_entry_quotas(const struct kw_entry *entry);

static inline struct kw_bytes kw_entry_record(const struct kw_entry *entry)
{
    return (struct kw_bytes){entry->record + kw__entry_record_at(kw_entry_marks(entry)), entry->record_size};
}

/* The key's id: the first field of every encoding. */
static inline struct kw_id kw_entry_id(const struct kw_entry *entry)
{
    struct kw_id id;
    memcpy(id.bytes, kw_entry_record(entry).data + KW_RECORD_ID_AT, sizeof id.bytes);
    return id;
}

/* What is asked. All borrowed. The resource must have passed kw_resource_valid, the requirement kw_requirement_check,
 * the place kw_place_valid; a text that is no scope is held by nobody. */
struct kw_question {
    uint16_t project;
    struct kw_bytes env; /* empty: any */
    const struct kw_bytes *scopes;
    size_t scope_count;       /* at most KW_SCOPE_COUNT_MAX, as of those on the resource */
    struct kw_bytes require;  /* "read AND (invoices OR admin)"; empty: nothing */
    struct kw_bytes resource; /* "website:123"; with no scopes asked on it, any scope that holds there will do */
    const struct kw_bytes *resource_scopes;
    size_t resource_scope_count;
    const struct kw_address *address; /* NULL: not stated, and refused where there is a rule on it */
    const struct kw_place *place;     /* the same */
};

struct kw_decision {
    enum kw_code code;     /* KW_CODE_NONE: valid */
    bool is_open;          /* no decision: a bound of this key is not known yet */
    bool has_limits_above; /* valid, and policy or ancestors may have limits that the key's own do not keep it within */
    bool first_use;        /* valid, and that ends a grace period: enqueue KW_COMMAND_END_GRACE for the key before */
    struct kw_bytes missing;      /* INSUFFICIENT_SCOPE: the first scope, or part of the requirement, that is missing;
                                     POLICY_VIOLATION: the field by which the record goes beyond the policy */
    struct kw_bytes missing_on;   /* the resource on which that scope is missing; empty: it was asked for on none */
    struct kw_lacks lacks;        /* INSUFFICIENT_SCOPE: all that is missing, by that one key or policy */
    const struct kw_entry *bound; /* the ancestor that refuses, or whose policy does; NULL: the key itself */
    struct kw_bytes policy;       /* the name of the policy that refuses; empty: none does */
    struct kw_entry *lapsed;      /* a time of this entry has passed, nothing says so yet: enqueue KW_COMMAND_LAPSE */
};

/*
 * Whether a known entry is valid for what is asked, found out in as few steps as can be: KW_PASSES and what else a
 * decision says of it. 0 says nothing: then kw_decide_by_rule does. No allocation, no lock, no clock.
 */
enum {
    KW_PASSES = 1 << 0,
    KW_PASSES_LIMITS_ABOVE = 1 << 1, /* `has_limits_above` */
    KW_PASSES_FIRST_USE = 1 << 2,    /* `first_use` */
};
unsigned kw_passes(struct kw_entry *entry, const struct kw_question *question, int64_t now_ms);
struct kw_decision kw_decide_by_rule(struct kw_entry *entry, const struct kw_question *question, int64_t now_ms);

/* Decides in the order of DESIGN section 5. `entry` NULL: unknown. No allocation, no lock, no clock. */
struct kw_decision kw_decide(struct kw_entry *entry, const struct kw_question *question, int64_t now_ms);

/*
 * Names what is missing, at most `count_max` things of it; the first is the decision's `missing`. Returns how many
 * there are. The question is the one that was decided on.
 */
size_t kw_lacks_list(const struct kw_lacks *lacks, const struct kw_question *question, struct kw_missing *missing_out,
                     size_t count_max);

/* What is looked at, in this order. */
enum kw_rule {
    KW_RULE_FORMAT, /* these two are the caller's to decide: no entry, no rules */
    KW_RULE_KNOWN,
    KW_RULE_REVOKED,
    KW_RULE_EXPIRED,
    KW_RULE_DISABLED,
    KW_RULE_ADDRESS,
    KW_RULE_REGION,
    KW_RULE_ENVIRONMENT,
    KW_RULE_POLICY,
    KW_RULE_SCOPES,
    KW_RULE_RATE_LIMITS, /* these two are the caller's, who keeps what was spent */
    KW_RULE_QUOTAS,
    KW_RULE_COUNT /* how many there are */
};
const char *kw_rule_name(enum kw_rule rule);

enum kw_finding {
    KW_OUTCOME_PASSED,
    KW_OUTCOME_REFUSED,
    KW_OUTCOME_NONE,    /* the key has no such rule, and nothing of the kind was asked */
    KW_OUTCOME_SKIPPED, /* an earlier one leaves nothing to look at */
};
const char *kw_finding_name(enum kw_finding outcome);

struct kw_check {
    enum kw_finding outcome;
    struct kw_decision decision; /* refused: as kw_decide would say if this were the first to refuse */
};

/*
 * Every rule's outcome, by the functions that kw_decide decides by: the first refusal among them is what it answers.
 * As there `entry` may be NULL. FORMAT counts as passed. Where there is no decision, these are of the bounds that are
 * known.
 */
void kw_decide_each(struct kw_entry *entry, const struct kw_question *question, int64_t now_ms,
                    struct kw_check checks_out[KW_RULE_COUNT]);

/*
 * The worst status of all that stands above an entry with this parent: EXPIRED of what has outlived its policy, as a
 * decision has it. False where one of them is not known (yet). Between kw_engine_read_begin and kw_engine_read_end, as
 * a decision.
 */
KW_MUST_USE bool kw_bound_status(const struct kw_bound *parent, int64_t now_ms, enum kw_key_status *status_out);
/* The same of all that an entry stands under: its parents, and its policy. */
KW_MUST_USE bool kw_entry_status_above(const struct kw_entry *entry, int64_t now_ms, enum kw_key_status *status_out);

#endif
