#include "core/audit.h"

#include "base/bytes.h"
#include "core/audit_seal.h"
#include "core/digest.h"
#include "core/id.h"

#define HEAD_VERSION 1

static const struct kw_audit_action actions[] = {
    {"key.created", "a key was created"},
    {"key.updated", "fields of a key were changed; `changes` says which, from what and to what"},
    {"key.enabled", "a key was enabled"},
    {"key.disabled", "a key was disabled"},
    {"key.revoked", "a key was revoked, by somebody or by the end of its grace period"},
    {"key.rotated", "a key got a successor, which `rotatedTo` names"},
    {"key.expiring", "a key is to be disabled or revoked, or to expire; `expiring` says what, and when"},
    {"key.expired", "the expiry of a key was seen to have passed"},
    {"key.erased", "a revoked key was erased; its digest stays"},
    {"key.imported", "an import brought or changed a key"},
    {"keys.imported", "an import brought new keys, which `keyIds` names"},
    {"key.digest_moved", "the digest of a key was made anew by the method of new keys"},
    {"quota.credited", "a quota of a key got back what was used of it"},
    {"export.started", "keys began to be taken out"},
    {"export.ended", "an export came to its end, or did not; `complete` says which"},
    {"project.created", "a project was created"},
    {"project.updated", "a project was changed"},
    {"project.deleted", "a project was deleted"},
    {"policy.created", "a policy was created"},
    {"policy.updated", "a policy was changed"},
    {"policy.deleted", "a policy was deleted"},
    {"template.created", "a template was created"},
    {"template.updated", "a template was changed"},
    {"template.deleted", "a template was deleted"},
    {"webhook.created", "a webhook was created"},
    {"webhook.updated", "a webhook was changed, by somebody, or by Keyward that stopped it; `reason` says why"},
    {"webhook.deleted", "a webhook was deleted"},
    {"channel.created", "a channel for people was created"},
    {"channel.updated", "a channel was changed"},
    {"channel.deleted", "a channel was deleted"},
    {"access.refused", "somebody was refused with 401 or 403; `count` says how often since the entry's time"},
    {"pepper.added", "a pepper became that of new keys"},
    {"pepper.retired", "a pepper was taken out"},
    {"audit.erased", "what told of a person was taken out of `entries` lines"},
    {"audit.pruned", "what stood in the log up to `place` was removed, since it was from before `before`"},
};

const struct kw_audit_action *kw_audit_actions(size_t *count_out)
{
    *count_out = KW_COUNT_OF(actions);
    return actions;
}

bool kw_audit_action_known(struct kw_bytes action)
{
    bool is_known = false;
    for (size_t i = 0; i < KW_COUNT_OF(actions) && !is_known; i++) {
        is_known = kw_bytes_equal(action, kw_bytes_of_text(actions[i].name));
    }
    return is_known;
}

/* --- the chain --- */

/* The salt of a field, made of the line's. Which field it is changes it. */
void kw__audit_field_salt(const uint8_t salt[KW_AUDIT_SALT_SIZE], uint8_t number, uint8_t out[KW_AUDIT_LINK_SIZE])
{
    const struct kw_bytes parts[] = {kw_bytes_of(salt, KW_AUDIT_SALT_SIZE), kw_bytes_of(&number, 1)};
    kw_digest_parts(parts, KW_COUNT_OF(parts), out);
}

/* A field that may be about a person, as it goes into the link. */
void kw__audit_veil(const struct kw_audit_seal *seal, uint8_t number, struct kw_bytes value,
                    uint8_t out[KW_AUDIT_LINK_SIZE])
{
    uint8_t own_salt[KW_AUDIT_LINK_SIZE];
    if (seal->erased == 0) {
        kw__audit_field_salt(seal->salt, number, own_salt);
    } else {
        memcpy(own_salt, seal->veils[number], sizeof own_salt);
    }
    if ((seal->erased >> number & 1) != 0) {
        memcpy(out, own_salt, sizeof own_salt);
        return;
    }
    const struct kw_bytes parts[] = {kw_bytes_of(own_salt, KW_AUDIT_SALT_SIZE), value};
    kw_digest_parts(parts, KW_COUNT_OF(parts), out);
}

struct kw_bytes kw__audit_veiled(const struct kw_audit_line *line, size_t number)
{
    const struct kw_bytes fields[KW_AUDIT_VEILED_COUNT] = {line->owner, line->actor, line->context, line->details};
    return fields[number];
}

/* The link of the line, with what its seal says of its fields. */
static void make_link(const struct kw_audit_chain *chain, const struct kw_audit_line *line,
                      const struct kw_audit_seal *seal, uint8_t link_out[KW_AUDIT_LINK_SIZE])
{
    uint8_t veils[KW_AUDIT_VEILED_COUNT][KW_AUDIT_LINK_SIZE];
    uint8_t numbers[3][8];
    for (size_t i = 0; i < KW_AUDIT_VEILED_COUNT; i++) {
        kw__audit_veil(seal, (uint8_t)i, kw__audit_veiled(line, i), veils[i]);
    }
    kw__store_u64(chain->place + 1, numbers[0]);
    kw__store_u64(line->sequence, numbers[1]);
    kw__store_u64((uint64_t)line->at_ms, numbers[2]);
    const struct kw_bytes parts[] = {
        KW_BYTES("keyward audit line, version 1"),
        kw_bytes_of(chain->link, sizeof chain->link),
        kw_bytes_of(numbers, sizeof numbers),
        line->project,
        kw_bytes_of(line->key_id.bytes, sizeof line->key_id.bytes),
        line->action,
        kw_bytes_of(veils, sizeof veils),
    };
    kw_digest_parts(parts, KW_COUNT_OF(parts), link_out);
}

static void go_on(struct kw_audit_chain *chain, const struct kw_audit_line *line,
                  const uint8_t link[KW_AUDIT_LINK_SIZE])
{
    chain->place++;
    chain->sequence = line->sequence;
    memcpy(chain->link, link, KW_AUDIT_LINK_SIZE);
}

void kw_audit_seal(struct kw_audit_chain *chain, const struct kw_audit_line *line,
                   const uint8_t salt[KW_AUDIT_SALT_SIZE], struct kw_audit_seal *seal_out)
{
    struct kw_audit_seal seal = {.place = chain->place + 1};
    memcpy(seal.salt, salt, sizeof seal.salt);
    make_link(chain, line, &seal, seal.link);
    go_on(chain, line, seal.link);
    *seal_out = seal;
}

void kw_audit_head_encode(const struct kw_audit_chain *chain, uint8_t out[KW_AUDIT_HEAD_SIZE])
{
    out[0] = HEAD_VERSION;
    kw__store_u64(chain->place, out + 1);
    kw__store_u64(chain->sequence, out + 9);
    memcpy(out + 17, chain->link, sizeof chain->link);
}

bool kw_audit_head_decode(struct kw_bytes bytes, struct kw_audit_chain *chain_out)
{
    if (bytes.size != KW_AUDIT_HEAD_SIZE || bytes.data[0] != HEAD_VERSION) {
        return false;
    }
    chain_out->place = kw__load_u64(bytes.data + 1);
    chain_out->sequence = kw__load_u64(bytes.data + 9);
    memcpy(chain_out->link, bytes.data + 17, sizeof chain_out->link);
    return true;
}

/* --- proving --- */

void kw_audit_proof_begin(struct kw_audit_proof *proof, const struct kw_audit_chain *expected)
{
    *proof = (struct kw_audit_proof){.fault = KW_AUDIT_WHOLE};
    if (expected != NULL) {
        proof->expected = *expected;
    }
}

void kw_audit_proof_trust(struct kw_audit_proof *proof, const uint8_t signer[KW_PUBLIC_KEY_SIZE])
{
    proof->has_signer = true;
    memcpy(proof->signer, signer, sizeof proof->signer);
}

void kw_audit_proof_start(struct kw_audit_proof *proof, const struct kw_audit_chain *start)
{
    proof->start = *start;
    proof->chain = *start;
    proof->last_sequence = start->sequence;
}

static void pass_known(struct kw_audit_proof *proof)
{
    while (proof->known_count > 0 && proof->known[0].place <= proof->chain.place) {
        proof->known++;
        proof->known_count--;
    }
}

void kw_audit_proof_know(struct kw_audit_proof *proof, const struct kw_audit_chain *known, size_t count)
{
    proof->known = known;
    proof->known_count = count;
    pass_known(proof);
}

static void find_fault(struct kw_audit_proof *proof, enum kw_audit_fault fault, uint64_t sequence, uint64_t place)
{
    proof->fault = fault;
    proof->fault_sequence = sequence;
    proof->fault_place = place;
}

/* Whether the line is what is known of that place. */
static bool is_as_known(const struct kw_audit_chain *known, const struct kw_audit_line *line,
                        const struct kw_audit_seal *seal)
{
    return known->place != seal->place ||
           (line->sequence == known->sequence && memcmp(seal->link, known->link, sizeof seal->link) == 0);
}

/* The line comes next in the chain, by what its seal says. */
static void prove(struct kw_audit_proof *proof, const struct kw_audit_line *line, const struct kw_audit_seal *seal)
{
    uint8_t link[KW_AUDIT_LINK_SIZE];
    make_link(&proof->chain, line, seal, link);
    bool is_same = memcmp(link, seal->link, sizeof link) == 0 &&
                   (seal->erased == 0 || (proof->has_signer && kw__audit_erasure_holds(line, seal, proof->signer)));
    bool is_signed = proof->known_count > 0 && proof->known[0].place == seal->place;
    bool is_known = is_as_known(&proof->expected, line, seal);
    for (size_t i = 0; i < proof->known_count && proof->known[i].place == seal->place; i++) {
        is_known = is_known && is_as_known(&proof->known[i], line, seal);
    }
    if (!is_same || !is_known) {
        find_fault(proof, KW_AUDIT_CHANGED, line->sequence, seal->place);
        return;
    }
    go_on(&proof->chain, line, link);
    proof->proved++;
    if (is_signed) {
        proof->signed_place = seal->place;
        proof->signed_count++;
        pass_known(proof);
    }
}

/* A line behind one that is missing: is it that one? */
static void look_for_missing(struct kw_audit_proof *proof, const struct kw_audit_line *line,
                             const struct kw_audit_seal *seal)
{
    if (proof->fault == KW_AUDIT_MISSING && seal != NULL && seal->place == proof->fault_place) {
        find_fault(proof, KW_AUDIT_MOVED, line->sequence, seal->place);
    }
}

void kw_audit_proof_add(struct kw_audit_proof *proof, const struct kw_audit_line *line,
                        const struct kw_audit_seal *seal)
{
    uint64_t next = proof->chain.place + 1;
    uint64_t last_sequence = proof->last_sequence;
    proof->last_sequence = line->sequence;
    if (proof->fault != KW_AUDIT_WHOLE) {
        look_for_missing(proof, line, seal);
    } else if (line->sequence <= last_sequence) {
        find_fault(proof, KW_AUDIT_MOVED, line->sequence, seal == NULL ? 0 : seal->place);
    } else if (seal == NULL) {
        proof->first_unsealed = proof->unsealed++ == 0 ? line->sequence : proof->first_unsealed;
    } else if (proof->unsealed >
               0) { /* what comes before a sealed line is sealed, too: it has lost its seal, or is new */
        find_fault(proof, seal->place == next ? KW_AUDIT_ADDED : KW_AUDIT_CHANGED, proof->first_unsealed, next);
    } else if (seal->place > next) {
        find_fault(proof, KW_AUDIT_MISSING, line->sequence, next);
    } else if (seal->place < next) {
        find_fault(proof, KW_AUDIT_ADDED, line->sequence, seal->place);
    } else {
        prove(proof, line, seal);
    }
}

/* The chain is known to go on. */
static void find_end_missing(struct kw_audit_proof *proof)
{
    if (proof->unsealed > 0) {
        find_fault(proof, KW_AUDIT_CHANGED, proof->first_unsealed, proof->chain.place + 1); /* it has lost its seal */
    } else {
        find_fault(proof, KW_AUDIT_MISSING, 0, proof->chain.place + 1);
    }
}

void kw_audit_proof_meet(struct kw_audit_proof *proof, const struct kw_audit_chain *known)
{
    const struct kw_audit_chain *chain = &proof->chain;
    if (proof->fault != KW_AUDIT_WHOLE || known->place < chain->place) {
        return;
    }
    if (known->place > chain->place) {
        find_end_missing(proof);
    } else if (known->sequence != chain->sequence || memcmp(known->link, chain->link, sizeof known->link) != 0) {
        find_fault(proof, KW_AUDIT_CHANGED, chain->sequence, chain->place);
    } else {
        proof->signed_place = known->place;
        proof->signed_count++;
    }
}

void kw_audit_proof_end(struct kw_audit_proof *proof)
{
    bool is_behind = proof->expected.place > proof->chain.place || proof->known_count > 0;
    if (proof->fault == KW_AUDIT_WHOLE && is_behind) {
        find_end_missing(proof);
    }
}

const char *kw_audit_fault_name(enum kw_audit_fault fault)
{
    static const char *const names[] = {
        [KW_AUDIT_WHOLE] = "whole", [KW_AUDIT_CHANGED] = "changed", [KW_AUDIT_MISSING] = "missing",
        [KW_AUDIT_ADDED] = "added", [KW_AUDIT_MOVED] = "moved",
    };
    return names[fault];
}
