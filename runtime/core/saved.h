/* saved.h - the file that pg_program_save writes and pg_program_load reads.
 *
 * int64 words in the machine's byte order; texts and data are filled up with zeros to whole words:
 *
 *     MAGIC, PG_ABI_VERSION, PG_SAVED_MACHINE
 *     records
 *     PG_SAVED_END, pg_saved_sum of all words before it
 *
 * A record begins with what it is. Codes, operations and programs are each numbered from 0, and refer to
 * earlier ones only; the last program is the one that was saved:
 *
 *     CODE     level of instruction set, bytes, the shared object
 *     OP       characters, name, n_in, n_out, n_avals, avals, n_params, params; then, if it calls code: characters,
 *              name of the function. Parameters that point to something are numbers here (pg_links_of).
 *     PROGRAM  n_code, code with numbers of operations, n_slots, n_inputs, n_outputs, outputs, n_constants, and for each:
 *              dtype, ndim, shape, elements */
#ifndef PG_SAVED_H
#define PG_SAVED_H

#include "program.h"

enum { PG_SAVED_END, PG_SAVED_CODE, PG_SAVED_OP, PG_SAVED_PROGRAM };
enum { PG_SAVED_NAME = 256 }; /* characters at most */

#define PG_SAVED_MAGIC 0x0a72676575716570 /* "pequegr\n" */

enum {
#if defined __x86_64__
    PG_SAVED_MACHINE = 62, /* as in ELF files */
#elif defined __aarch64__
    PG_SAVED_MACHINE = 183,
#else
    PG_SAVED_MACHINE = 0,
#endif
};

/* Changes with every word, and with their order. */
static inline uint64_t pg_saved_sum(uint64_t sum, const void *words, size_t n)
{
    const char *at = words;
    for (size_t i = 0; i < n; i++, at += 8) {
        uint64_t word;
        __builtin_memcpy(&word, at, sizeof word);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15; /* odd: nothing is lost */
        sum ^= sum >> 32;
    }
    return sum;
}

static inline size_t pg_saved_words(size_t bytes) { return (bytes + 7) / 8; }

/* What a program that was loaded consists of, and destroys with it. */
struct pg_loaded {
    pg_code **codes;
    pg_op **ops;
    pg_program **programs; /* but the last */
    int64_t n_codes, n_ops, n_programs;
};

#endif
