/* error.c - the last failure of each thread. */
#include "core.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char last_error[1024];

const char *pg_last_error(void) { return last_error; }

int32_t pg_abi_version(void) { return PG_ABI_VERSION; }

pg_status pg_fail(pg_status code, const char *format, ...)
{
    char text[sizeof last_error]; /* an argument may be the previous message itself */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(last_error, text, sizeof text);
    return code;
}

/* Adds formatted text to `text`, and silently stops where the space ends. */
__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size,
                                                         const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

static void append_aval(char *text, size_t size, const pg_aval *aval)
{
    append(text, size, "%s[", pg_dtype_name(aval->dtype));
    for (int32_t i = 0; i < aval->ndim; i++)
        append(text, size, "%s%lld", i ? "," : "", (long long)aval->shape[i]);
    append(text, size, "]");
}

pg_status pg_explain_failure(const pg_op *op, pg_status status)
{
    enum { SHOWN = 8 }; /* inputs; a concatenation may have hundreds */
    char text[sizeof last_error / 2];
    snprintf(text, sizeof text, "%s: ", op->kernel->name);
    for (int32_t i = 0; i < op->n_in && i < SHOWN; i++) {
        if (i) append(text, sizeof text, ", ");
        append_aval(text, sizeof text, &op->in[i]);
    }
    if (op->n_in > SHOWN) append(text, sizeof text, ", ... (%d inputs)", op->n_in);
    return pg_fail(status, "%s%s%s", text, op->n_in ? ": " : "", last_error);
}
