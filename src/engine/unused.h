/*
 * Keys that nobody uses: `key.unused`, once for each time that an active key was not used for as long as its project's
 * `unusedAfter` says, since its last use or, of one that never was used, since it was made.
 */
#ifndef KW_ENGINE_UNUSED_H
#define KW_ENGINE_UNUSED_H

#include "engine/internal.h"

/*
 * As the writer, now and then: looks at some keys of the project whose turn it is. How far it came is a setting that is
 * committed with the events, so that a key is told of once, whenever the process ends.
 */
void kw__unused_tell(struct kw_engine *engine);

#endif
