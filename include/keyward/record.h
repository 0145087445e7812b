/*
 * What a key is: the words that users of the library, authors of store adapters and the core share. A record is all
 * that is kept of a key; the key itself is never kept.
 */
#ifndef KEYWARD_RECORD_H
#define KEYWARD_RECORD_H

#include <keyward/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Caps, in bytes unless they say otherwise. The interface's description (api/keyward.yaml) states the same ones. */
#define KW_KEY_SIZE_MAX 192 /* a full key: prefix, random part, checksum */
#define KW_PREFIX_MAX 32
#define KW_PROJECT_MAX 64
#define KW_ENV_MAX 32
#define KW_OWNER_MAX 128 /* "team:ID" */
#define KW_NAME_MAX 128
#define KW_DESCRIPTION_MAX 1024
#define KW_REASON_MAX 256
#define KW_ACTOR_MAX 128
#define KW_TAG_MAX 64
#define KW_TAG_COUNT_MAX 32
#define KW_SCOPE_MAX 128
#define KW_SCOPE_COUNT_MAX 128
#define KW_RESOURCE_MAX 128 /* "website:123" */
#define KW_RESOURCE_COUNT_MAX 64
#define KW_RESOURCES_MAX 16384 /* a key's resources together: 6 and a name for each, 3 and a scope for each scope */
#define KW_POLICY_MAX 64       /* a policy's name */
#define KW_METADATA_MAX 8192   /* JSON text */
#define KW_IP_TEXT_MAX 64
#define KW_IP_COUNT_MAX 64      /* in a list of addresses and ranges */
#define KW_REGION_MAX 6         /* "US-CA" */
#define KW_REGION_COUNT_MAX 128 /* in a list of regions */
#define KW_REQUIRE_MAX 512      /* a requirement of scopes */
#define KW_POLICY_MAX 64
#define KW_TEMPLATE_MAX 64
#define KW_RATE_LIMIT_NAME_MAX 32
#define KW_RATE_LIMIT_COUNT_MAX 8
#define KW_RATE_LIMIT_REQUESTS_MAX 1000000000
#define KW_RATE_LIMIT_WINDOW_MS_MAX (INT64_C(31) * 86400 * 1000) /* longer than that, a quota is what is wanted */
#define KW_COST_MAX KW_RATE_LIMIT_REQUESTS_MAX                   /* of one request */
#define KW_QUOTA_NAME_MAX 48
#define KW_QUOTA_COUNT_MAX 8
#define KW_QUOTA_MARK_COUNT_MAX 4
#define KW_METRIC_MAX 32
#define KW_NOTIFY_BEFORE_MS_MAX (INT64_C(365) * 86400 * 1000)
#define KW_AMOUNT_ONE INT64_C(1000000)                         /* amounts are whole millionths */
#define KW_AMOUNT_MAX (INT64_C(1000000000000) * KW_AMOUNT_ONE) /* a million millions; sums of a few fit 64 bits */
#define KW_RECORD_MAX 53248                                    /* an encoded record */
#define KW_TOGETHER_MAX 1000                                   /* changes of one call */
#define KW_PEPPER_SIZE 32                                      /* pepper.h */
#define KW_PEPPER_FINGERPRINT_SIZE 16
#define KW_BULK_MAX 1000000   /* keys that one action on a filter changes */
#define KW_BULK_IDS_MAX 10000 /* that it names by their ids */

/* A ULID: 48 bits of milliseconds, 80 of entropy. All zero means none. Outside it reads "key_" and 26 characters. */
struct kw_id {
    uint8_t bytes[16];
};
#define KW_ID_TEXT_SIZE 30 /* without NUL */

/* Strings in a row, each a length (LEB128) and its bytes. Read with kw_list_next. */
struct kw_list {
    struct kw_bytes packed;
    uint32_t count;
};

/*
 * The next string: start with `rest` = list.packed, stop when `rest` is empty.
 * False when nothing is left (or, never in a record that was decoded, when the bytes are damaged).
 */
KW_API bool kw_list_next(struct kw_bytes *rest, struct kw_bytes *item_out);

/* From good to bad, which is the order in which they count. */
enum kw_key_status { KW_KEY_ACTIVE, KW_KEY_DISABLED, KW_KEY_EXPIRED, KW_KEY_REVOKED };

/* How a key's digest is made. Numbers are kept in records: they never change meaning. */
enum kw_digest_scheme {
    KW_DIGEST_HMAC_SHA256 = 1, /* under the pepper: the default */
    KW_DIGEST_SHA256 = 2,
    KW_DIGEST_SHA512 = 3,
    KW_DIGEST_SHA256_SALTED = 4, /* over a salt and the key: the store's own salt stands before it */
    KW_DIGEST_SHA512_SALTED = 5,
};

/*
 * Whose spending a limit or quota counts: the key's own, or that of all keys of its owner or of its organisation in the
 * project. Numbers are kept in records: they never change meaning.
 */
enum kw_limit_per { KW_PER_KEY, KW_PER_OWNER, KW_PER_ORG };

/* At most so many requests, or so much cost, in any window of that length, wherever it starts. */
struct kw_rate_limit {
    struct kw_bytes name; /* "default" when empty; what was spent is kept under it */
    int64_t requests;     /* 1 to KW_RATE_LIMIT_REQUESTS_MAX */
    int64_t window_ms;    /* 1 to KW_RATE_LIMIT_WINDOW_MS_MAX */
    enum kw_limit_per per;
};

/* The next of a record's rate limits: start with `rest` = rate_limits.packed. False when nothing is left. */
KW_API bool kw_rate_limits_next(struct kw_bytes *rest, struct kw_rate_limit *limit_out);

/* Numbers of the next three are kept in records: they never change meaning. */
enum kw_period { KW_PERIOD_HOUR = 1, KW_PERIOD_DAY, KW_PERIOD_WEEK, KW_PERIOD_MONTH, KW_PERIOD_YEAR };
enum kw_quota_exceeded { KW_QUOTA_BLOCK, KW_QUOTA_WARN, KW_QUOTA_THROTTLE };
enum kw_quota_anchor { KW_ANCHOR_UTC, KW_ANCHOR_CREATED }; /* the calendar; the creation of the line's first key */

/* So much of a metric in each period. */
struct kw_quota_rule {
    struct kw_bytes name;   /* metric and period when empty: "requests-month" */
    struct kw_bytes metric; /* "requests" when empty; else one that the project has */
    int64_t limit;          /* in millionths: 0 to KW_AMOUNT_MAX */
    enum kw_period period;
    enum kw_quota_anchor anchor; /* KW_ANCHOR_CREATED only of the key's own spending */
    enum kw_quota_exceeded on_exceeded;
    enum kw_limit_per per;
    uint8_t marks[KW_QUOTA_MARK_COUNT_MAX]; /* percent of the limit that are told of, ascending, 1 to 100 */
    uint8_t mark_count;                     /* 0: they are 80 and 100 */
    struct kw_rate_limit throttle;          /* with KW_QUOTA_THROTTLE only: its requests and window */
};

/* The next of a record's quotas: start with `rest` = quotas.packed. False when nothing is left. */
KW_API bool kw_quota_rules_next(struct kw_bytes *rest, struct kw_quota_rule *quota_out);

/* What is to become of a key, and when people are told of it beforehand. 0: none. */
struct kw_schedule {
    int64_t disable_at_ms;    /* it is disabled then, once */
    int64_t revoke_at_ms;     /* it is revoked then */
    int64_t notify_before_ms; /* key.expiring is told so long before either, and before the expiry */
};

/*
 * A record. All bytes are borrowed from where it was decoded. Times are milliseconds since 1970 UTC, 0 where there is
 * none. Texts that are absent have size 0.
 */
struct kw_record {
    struct kw_id id;
    uint64_t version; /* 1 at creation, one more with each change */
    struct kw_bytes project;
    struct kw_bytes env;
    struct kw_bytes prefix;
    uint8_t last_four[4];
    bool is_public;
    bool enabled;
    enum kw_digest_scheme digest_scheme;
    uint8_t digest_method; /* of the store's table of methods: pepper or salt; 0: that of the scheme's own number */
    struct kw_bytes owner; /* "user:1", "team:9", "service:ci" */
    struct kw_bytes org_id;
    struct kw_bytes name;
    struct kw_bytes description;
    struct kw_list tags;      /* lower case, sorted, no doubles */
    struct kw_bytes metadata; /* a JSON object as text */
    struct kw_list scopes;    /* sorted, no doubles */
    /* Pairs: "website:123", then its scopes as the packed bytes of a list of their own. count counts pairs. */
    struct kw_list resources;
    struct kw_bytes created_by;
    int64_t created_at_ms;
    int64_t updated_at_ms;
    int64_t expires_at_ms;
    int64_t lapsed_at_ms; /* the expiry was seen to have passed: it stays passed though the clock steps back */
    int64_t revoked_at_ms;
    struct kw_bytes revoked_by;
    struct kw_bytes revoke_reason;
    struct kw_id rotated_from;
    struct kw_id rotated_to;
    int64_t grace_until_ms;  /* of a rotated key: revoked from then on, reason "rotated" */
    struct kw_id lineage_id; /* the first key of its line of rotations */
    /* Where it may be used from; an empty list is no rule, and what is blocked is blocked whatever is allowed. Ranges
     * of addresses are packed ones (kw_range_to_text reads them). */
    struct kw_list allowed_ips;
    struct kw_list blocked_ips;
    struct kw_list allowed_regions; /* "US", "US-CA", "EU" */
    struct kw_list blocked_regions;
    struct kw_bytes policy;
    struct kw_bytes template_name;
    struct kw_id parent_id;      /* the lineage of the key that bounds this one */
    struct kw_list rate_limits;  /* sorted by name, packed; kw_rate_limits_next reads them */
    struct kw_list quotas;       /* the same; kw_quota_rules_next reads them */
    struct kw_schedule schedule; /* what of it is still to come */
    uint8_t announced;           /* of enum kw_end: key.expiring was told of these times as they are */
    bool has_children;           /* or had */
    bool ends_grace;             /* its first use ends the grace period of the key that it was rotated from */
    bool imported;               /* it came from elsewhere: that it is revoked here under another digest counts */
    /* Beside the record, and not in its encoding: set where a record is read to be shown. */
    int64_t last_used_at_ms;      /* 0: never */
    struct kw_bytes last_used_ip; /* 16 bytes, or none; IPv4 as the address of IPv6 that it is mapped to */
    struct kw_bytes last_used_region;
};

/* Times at which a key ends or stops, as bits. Numbers are kept in records: they never change meaning. */
enum kw_end { KW_END_DISABLE = 1 << 0, KW_END_REVOKE = 1 << 1, KW_END_EXPIRE = 1 << 2 };

/* What is counted of verifications, and what was reported. Numbers are kept by stores: they never change meaning. */
enum kw_usage_dimension {
    KW_USAGE_CODE = 1, /* verifications, by the code of their verdict; this and the next two count in ones */
    KW_USAGE_ENDPOINT,
    KW_USAGE_REGION,
    KW_USAGE_METRIC,          /* amounts of a metric, in millionths, as in the next */
    KW_USAGE_ENDPOINT_METRIC, /* of a metric at an endpoint: the endpoint, a byte 1, the metric's name */
    /* For insight alone, of verifications of a key that passed: */
    KW_USAGE_NETWORK, /* two sums, which say whether all came from one network */
    KW_USAGE_SCOPE,   /* by the scopes of the key that cover those that were asked for */
};

/* Which members of struct kw_key_params a caller gives. A given member with size or count 0 clears that field. */
enum kw_given {
    KW_GIVEN_ENV = 1 << 0,
    KW_GIVEN_PUBLIC = 1 << 1,
    KW_GIVEN_OWNER = 1 << 2,
    KW_GIVEN_ORG = 1 << 3,
    KW_GIVEN_NAME = 1 << 4,
    KW_GIVEN_DESCRIPTION = 1 << 5,
    KW_GIVEN_TAGS = 1 << 6,
    KW_GIVEN_METADATA = 1 << 7,
    KW_GIVEN_SCOPES = 1 << 8,
    KW_GIVEN_RESOURCES = 1 << 9,
    KW_GIVEN_EXPIRES_AT = 1 << 10, /* expires_at_ms; 0 clears the expiry */
    KW_GIVEN_EXPIRES_IN = 1 << 11,
    KW_GIVEN_ALLOWED_IPS = 1 << 12,
    KW_GIVEN_BLOCKED_IPS = 1 << 13,
    KW_GIVEN_ALLOWED_REGIONS = 1 << 14,
    KW_GIVEN_BLOCKED_REGIONS = 1 << 15,
    KW_GIVEN_POLICY = 1 << 16,
    KW_GIVEN_PARENT = 1 << 17,
    KW_GIVEN_RATE_LIMITS = 1 << 18,
    KW_GIVEN_QUOTAS = 1 << 19,
    KW_GIVEN_SCHEDULE = 1 << 20, /* of `schedule`, the members that it gives; none: all of them are cleared */
};

/* Which members of a schedule a caller gives. One that is 0 is cleared. */
enum kw_given_schedule {
    KW_GIVEN_DISABLE_AT = 1 << 0,
    KW_GIVEN_REVOKE_AT = 1 << 1,
    KW_GIVEN_NOTIFY_BEFORE = 1 << 2,
};
struct kw_schedule_params {
    uint32_t given; /* of enum kw_given_schedule */
    struct kw_schedule to;
};

/* The scopes that a key has on one resource: {"website:123", {"read", "write"}, 2}. */
struct kw_resource_scopes {
    struct kw_bytes resource;
    const struct kw_bytes *scopes;
    size_t scope_count;
};

/* What a caller says about a key when it is created, updated or rotated. Everything is borrowed for the call. */
struct kw_key_params {
    uint32_t given;      /* of enum kw_given */
    struct kw_bytes env; /* "live" when not given */
    bool is_public;
    struct kw_bytes owner; /* "user:1"; required at creation */
    struct kw_bytes org_id;
    struct kw_bytes name;
    struct kw_bytes description;
    const struct kw_bytes *tags;
    size_t tag_count;
    struct kw_bytes metadata;
    const struct kw_bytes *scopes;
    size_t scope_count;
    const struct kw_resource_scopes *resources;
    size_t resource_count;
    int64_t expires_at_ms;
    int64_t expires_in_ms;
    const struct kw_bytes *allowed_ips; /* addresses and ranges: "192.0.2.1", "2001:db8::/32" */
    size_t allowed_ip_count;
    const struct kw_bytes *blocked_ips;
    size_t blocked_ip_count;
    const struct kw_bytes *allowed_regions; /* "US", "US-CA", "EU", "EEA" */
    size_t allowed_region_count;
    const struct kw_bytes *blocked_regions;
    size_t blocked_region_count;
    struct kw_bytes policy;
    const struct kw_rate_limit *rate_limits;
    size_t rate_limit_count;
    const struct kw_quota_rule *quotas;
    size_t quota_count;
    struct kw_bytes parent; /* creation: the id, "key_…", of any key of the line that is to be the parent */
    struct kw_schedule_params schedule;
};

#ifdef __cplusplus
}
#endif
#endif
