/*
 * The scheduler: a thread that sees to what is due of keys (core/schedule.h). A row says when somebody is to look after
 * it next; the scheduler asks for those whose time has come, and has the writer write down what has passed
 * (KW_OP_LAPSE), with the version that it saw: so what comes of it is in the store with its audit line and event, or
 * not at all, and nothing happens twice, whatever ends the process. No verdict waits for it.
 *
 * It looks four times a second, whatever the clock does in between. A start is no other round than any: what came while
 * nobody was there is due.
 */
#ifndef KW_ENGINE_SCHEDULER_H
#define KW_ENGINE_SCHEDULER_H

#include "engine/internal.h"

/* A setting: every row says when it is due. What was written before rows did so, the first round sees to. */
#define KW_SCHEDULE_SETTING "schedule.rows"

struct kw_scheduler;

/* Starts the thread. KW_E_MEMORY, KW_E_SYSTEM. */
KW_MUST_USE enum kw_status kw__scheduler_start(struct kw_engine *engine);
/* Ends the thread, while the writer still works. NULL is fine. */
void kw__scheduler_stop(struct kw_engine *engine);

/* One round by hand: sees to all that is due now. Not beside a thread. Fails as the store does, and with what a write
 * of unknown outcome says; then another round goes on. */
KW_MUST_USE enum kw_status kw_engine_run_schedules(struct kw_engine *engine);

#endif
