#include "core/notice.h"

#include "base/bytes.h"

/* In the order of the catalogue (event.c); tests see to it that each event has one. */
static const struct kw_notice_text texts[] = {
    {"key.created", "The key {key} was created[ by {actor}].", "keys were created",
     "If nobody of yours did this, revoke it, and look in the audit log for who did."},
    {"key.updated", "The key {key} was changed[ by {actor}].", "keys were changed",
     "The audit log says what of it, from what to what."},
    {"key.enabled", "The key {key} was enabled[ by {actor}][: {reason}].", "keys were enabled",
     "It works again. If it should not, disable or revoke it."},
    {"key.disabled", "The key {key} was disabled[ by {actor}][: {reason}].", "keys were disabled",
     "Requests with it are refused until it is enabled again."},
    {"key.revoked", "The key {key} was revoked[ by {revokedBy}][: {reason}].", "keys were revoked",
     "It never works again. Whoever still needs access needs a new key."},
    {"key.rotated", "The key {key} got a successor[; it works until {graceUntil}].", "keys got successors",
     "Put the new key wherever the old one is used, before the old one ends."},
    {"key.expiring", "The key {key} ends soon[ ({ending}, at {endingAt})].", "keys end soon",
     "Rotate it and put the new key in its place, or give it a later expiry."},
    {"key.expired", "The key {key} has expired[, at {expiresAt}].", "keys have expired",
     "Requests with it are refused. If it is still needed, make a new one."},
    {"key.unused", "The key {key} was not used for long[: the last time was {lastUsedAt}].",
     "keys were not used for long",
     "If nobody needs it any more, revoke it: a key that is not there cannot be stolen."},
    {"key.first_used", "The key {key} was used for the first time.", "keys were used for the first time",
     "If nobody has put it to use yet, somebody else has it: revoke it."},
    {"key.new_network", "The key {key} was used from a network that it was not used from before.",
     "keys were used from new networks", "If nobody knows that network, rotate the key."},
    {"key.rate_limited", "Requests with the key {key} were refused, because there were too many.",
     "keys had too many requests", "Let its owner slow down, or raise its limit."},
    {"key.leaked", "The key {key} was found where it must not be.", "keys were found where they must not be",
     "Revoke or rotate it now, then find out what was done with it: the audit log and its usage say."},
    {"key.erased", "The key {key} was erased[ by {actor}][: {reason}].", "keys were erased",
     "Nothing is left to do: it was revoked before."},
    {"key.imported", "An import brought or changed the key {key}.", "keys were brought or changed by imports",
     "The audit log says what of it, from what to what."},
    {"keys.imported", "An import brought {count} new keys[, by {actor}].", "imports brought new keys",
     "If nobody of yours did this, look in the audit log for who did."},
    {"key.digest_moved", "The digest of the key {key} was made anew.", "digests of keys were made anew",
     "Nothing is left to do: the key works as before."},
    {"key.quota.warning", "The key {key} has used {percent} % of its quota {quota}.", "marks of quotas were reached",
     "If it is to go on, raise the quota before it is used up."},
    {"key.quota.exceeded", "The key {key} has used up its quota {quota} of {limit} a {period}.", "quotas were used up",
     "Raise the quota or give some of it back; else wait until its period ends."},
    {"key.quota.credited", "The quota {quota} of the key {key} got something back[, by {actor}].",
     "quotas got something back", "Nothing is left to do."},
    {"project.changed", "The project {name} was {change}[ by {actor}].", "projects were changed",
     "The audit log says what of it, from what to what."},
    {"policy.changed", "The policy {name} was {change}[ by {actor}].", "policies were changed",
     "It binds every key under it at once. The audit log says what of it was changed."},
    {"template.changed", "The template {name} was {change}[ by {actor}].", "templates were changed",
     "Keys that were made from it stay as they are."},
    {"webhook.changed", "The webhook {name} was {change}[ by {actor}].", "webhooks were changed",
     "If nobody of yours did this, see where it leads to now."},
    {"channel.changed", "The channel {name} was {change}[ by {actor}].", "channels were changed",
     "If nobody of yours did this, see whom it tells now."},
    {"webhook.paused", "Keyward paused the webhook {name}[: {reason}].", "webhooks were paused by Keyward",
     "Mend its endpoint and enable it again within seven days: until then its events wait."},
    {"webhook.disabled", "Keyward switched the webhook {name} off[: {reason}].",
     "webhooks were switched off by Keyward", "Delete it, or give it another address and enable it."},
    {"pepper.added", "A new pepper was added[ by {actor}].", "peppers were added",
     "See that it is in the backup of peppers: without it its keys are lost."},
    {"pepper.retired", "The pepper {fingerprint} was taken out[ by {actor}].", "peppers were taken out",
     "Keys whose digest was made with it do not work any more."},
    {"audit.checkpoint", "The audit log got a signed checkpoint.", "checkpoints of the audit log were signed",
     "Keep it where nobody reaches it who could change the log: it proves what the log was."},
};

static const struct kw_notice_text any_text = {"", "An event came up: {event}[, of the key {key}].",
                                               "more events came up", "The log of events has all of it."};

const struct kw_notice_text *kw_notice_text(const char *event)
{
    const struct kw_notice_text *found = &any_text;
    for (size_t i = 0; i < KW_COUNT_OF(texts) && found == &any_text; i++) {
        found = strcmp(texts[i].event, event) == 0 ? &texts[i] : found;
    }
    return found;
}

bool kw_notice_text_is_own(const char *event)
{
    return kw_notice_text(event) != &any_text;
}

/* The key: its name and last four characters, as far as they are said; else its id. */
static bool add_key(const struct kw_notice *notice, struct kw_buffer *out)
{
    const char *name = notice->parts[KW_NOTICE_NAME];
    const char *last_four = notice->parts[KW_NOTICE_LAST_FOUR];
    const char *id = notice->parts[KW_NOTICE_KEY_ID];
    if (name[0] != '\0') {
        kw_buffer_add_format(out, "\"%s\"%s", name, last_four[0] != '\0' ? " " : "");
    }
    if (last_four[0] != '\0') {
        kw_buffer_add_format(out, "(\xe2\x80\xa6%s)", last_four);
    }
    bool is_said = name[0] != '\0' || last_four[0] != '\0';
    kw_buffer_add_text(out, is_said ? "" : id);
    return is_said || id[0] != '\0';
}

/* Whether there was something to stand for the place holder. */
static bool add_part(struct kw_bytes holder, const struct kw_notice *notice, struct kw_buffer *out)
{
    static const struct {
        const char *name;
        enum kw_notice_part part;
    } holders[] = {
        {"name", KW_NOTICE_NAME},
        {"actor", KW_NOTICE_ACTOR},
        {"reason", KW_NOTICE_REASON},
        {"revokedBy", KW_NOTICE_REVOKED_BY},
        {"graceUntil", KW_NOTICE_GRACE_UNTIL},
        {"expiresAt", KW_NOTICE_EXPIRES_AT},
        {"quota", KW_NOTICE_QUOTA},
        {"period", KW_NOTICE_PERIOD},
        {"percent", KW_NOTICE_PERCENT},
        {"limit", KW_NOTICE_LIMIT},
        {"count", KW_NOTICE_COUNT},
        {"change", KW_NOTICE_CHANGE},
        {"fingerprint", KW_NOTICE_FINGERPRINT},
        {"lastUsedAt", KW_NOTICE_LAST_USED_AT},
        {"ending", KW_NOTICE_ENDING},
        {"endingAt", KW_NOTICE_ENDING_AT},
    };
    if (kw_bytes_equal(holder, KW_BYTES("key"))) {
        return add_key(notice, out);
    }
    const char *text = kw_bytes_equal(holder, KW_BYTES("event")) ? notice->event : "";
    for (size_t i = 0; i < KW_COUNT_OF(holders); i++) {
        if (kw_bytes_equal(holder, kw_bytes_of_text(holders[i].name))) {
            text = notice->parts[holders[i].part];
        }
    }
    kw_buffer_add_text(out, text);
    return text[0] != '\0';
}

/* Up to `end`; whether all that it asks for was said. */
static bool fill_until(const char **at, char end, const struct kw_notice *notice, struct kw_buffer *out)
{
    bool is_whole = true;
    while (**at != end && **at != '\0') {
        if (**at == '{') {
            const char *close = strchr(*at, '}');
            is_whole = add_part(kw_bytes_of(*at + 1, (size_t)(close - *at - 1)), notice, out) && is_whole;
            *at = close + 1;
        } else {
            kw_buffer_add_byte(out, (uint8_t) * *at);
            (*at)++;
        }
    }
    return is_whole;
}

void kw_notice_fill(const char *sentence, const struct kw_notice *notice, struct kw_buffer *out)
{
    const char *at = sentence;
    while (*at != '\0') {
        (void)fill_until(&at, '[', notice, out);
        if (*at == '[') {
            size_t before = out->size;
            at++;
            bool is_whole = fill_until(&at, ']', notice, out);
            out->size = is_whole ? out->size : before;
            at += *at == ']';
        }
    }
}
