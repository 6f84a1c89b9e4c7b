/* error.c: status texts and the one function through which every fault passes. */
#include "base/error.h"

#include <stdio.h>
#include <string.h>

const char *soma_status_text(soma_status status)
{
    switch (status) {
#define SOMA__STATUS_CASE(name_, value_, text_)                                                    \
    case SOMA_##name_:                                                                             \
        return text_;
        SOMA_STATUS_LIST(SOMA__STATUS_CASE)
#undef SOMA__STATUS_CASE
    }
    return "unknown status";
}

const char *soma_version(void)
{
    return SOMA_VERSION;
}

/* Ends a message that did not fit with "...", without leaving half of a UTF-8 sequence before it.
 */
static void mark_truncation(char *message, size_t size)
{
    size_t end = size - 4;
    while (end > 0 && ((unsigned char)message[end] & 0xC0) == 0x80)
        end--;
    memcpy(message + end, "...", 4);
}

__attribute__((noinline)) soma_status soma__vfail(soma_error *err, soma_status code,
                                                  const char *format, va_list args)
{
    if (!err)
        return code;
    /* An argument may point into err->message itself, so the text is made beside it. */
    char message[SOMA_ERROR_MESSAGE_SIZE];
    int length = vsnprintf(message, sizeof message, format, args);
    if (length < 0)
        snprintf(message, sizeof message, "%s", soma_status_text(code));
    else if ((size_t)length >= sizeof message)
        mark_truncation(message, sizeof message);
    err->code = code;
    memcpy(err->message, message, strlen(message) + 1);
    return code;
}

#undef soma__fail /* macros when the static analyser looks: error.h */
#undef soma__fail_within
soma_status soma__fail(soma_error *err, soma_status code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    soma__vfail(err, code, format, args);
    va_end(args);
    return code;
}

soma_status soma__fail_within(soma_error *err, soma_status code, const char *format, ...)
{
    if (!err)
        return code;
    char prefix[SOMA_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    if (length < 0)
        prefix[0] = '\0';
    /* Somebody failed without saying anything: the prefix is all there is to tell. */
    if (err->code == SOMA_OK)
        return soma__fail(err, code, "%s: %s", prefix, soma_status_text(code));

    char message[2 * SOMA_ERROR_MESSAGE_SIZE + 2];
    length = snprintf(message, sizeof message, "%s: %s", prefix, err->message);
    if (length >= SOMA_ERROR_MESSAGE_SIZE) {
        message[SOMA_ERROR_MESSAGE_SIZE - 1] = '\0';
        mark_truncation(message, SOMA_ERROR_MESSAGE_SIZE);
    }
    memcpy(err->message, message, strlen(message) + 1);
    return err->code;
}
