/*
 * What every other header of Keyward shares: how a result is reported, how bytes travel with their length, how an
 * error speaks. Safe to include alone, from C and from C++.
 */
#ifndef KEYWARD_TYPES_H
#define KEYWARD_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define KW_MUST_USE __attribute__((warn_unused_result))
#define KW_API __attribute__((visibility("default")))
#define KW_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define KW_MUST_USE
#define KW_API
#define KW_PRINTF(text, first)
#endif

/* How a call ended. A key that is refused is no failure: verdicts are their own type (keyward.h). */
enum kw_status {
    KW_OK = 0,
    KW_E_INVALID,     /* the caller's input breaks a rule; struct kw_error names the field and the way out */
    KW_E_NOT_FOUND,   /* no such thing, or a thing of another project: the two are not told apart */
    KW_E_CONFLICT,    /* somebody else changed it first, or its state does not allow the change */
    KW_E_LIMIT,       /* a stated size, depth or count would be passed */
    KW_E_DENIED,      /* the caller may not do this */
    KW_E_BUSY,        /* held by another process, or a queue is full: try again */
    KW_E_UNAVAILABLE, /* the store cannot be reached or refuses to write; nothing was changed */
    KW_E_FULL,        /* no room is left where the store is kept; nothing was changed */
    KW_E_UNCERTAIN,   /* the write may or may not have happened */
    KW_E_CORRUPT,     /* stored bytes are not what was written */
    KW_E_NEWER,       /* written by a newer Keyward than this one */
    KW_E_MEMORY,      /* no memory; nothing was changed */
    KW_E_SYSTEM,      /* the operating system or a library failed in a way with no better name */
};

/* Borrowed bytes. They need not end in NUL; `data` may be NULL when `size` is 0. */
struct kw_bytes {
    const uint8_t *data;
    size_t size;
};

/* Bytes of a string literal; the compiler counts them. */
#define KW_BYTES(literal) ((struct kw_bytes){(const uint8_t *)(literal), sizeof(literal) - 1})

#define KW_ERROR_FIELD_MAX 96
#define KW_ERROR_TEXT_MAX 320

/*
 * Why a call failed. `message` is for the caller and says what to do; `detail` is for the operator's log, may name
 * files, and must not leave the process. No text ever holds a key. All texts end in NUL; `code` is static.
 */
struct kw_error {
    enum kw_status status;
    const char *code;               /* stable, for programs: "INVALID_FIELD" */
    char field[KW_ERROR_FIELD_MAX]; /* the field at fault as the caller wrote it ("tags[2]"), or empty */
    char message[KW_ERROR_TEXT_MAX];
    char detail[KW_ERROR_TEXT_MAX];
};

/* The name of a status for logs and tests ("KW_E_BUSY"). Never NULL. */
KW_API const char *kw_status_name(enum kw_status status);

#ifdef __cplusplus
}
#endif
#endif
