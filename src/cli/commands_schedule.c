#include "cli/commands_usage.h"

/* Members of the body's "schedule" (KW_PLACE_SCHEDULE). */
static const struct kw_option schedule_options[] = {
    {.name = "disable-at",
     .argument = "TIME",
     .help = "when it is disabled by itself: 2027-01-31T00:00:00Z",
     .place = KW_PLACE_SCHEDULE,
     .field = "disableAt"},
    {.name = "revoke-at",
     .argument = "TIME",
     .help = "when it is revoked by itself, for ever",
     .place = KW_PLACE_SCHEDULE,
     .field = "revokeAt"},
    {.name = "notify-before",
     .argument = "DURATION",
     .help = "how long before these, and its expiry, key.expiring is told: 7d",
     .place = KW_PLACE_SCHEDULE,
     .field = "notifyBefore"},
};
const struct kw_option_group kw__schedule_group = {"What is to become of it", schedule_options,
                                                   sizeof schedule_options / sizeof schedule_options[0]};
