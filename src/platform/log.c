/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/log_output.h"
#include "platform/printable.h"
#include "platform/text.h"

/* The priorities of syslog(3) for the levels. */
static const uint8_t log_priorities[] = {
	[LOG_LEVEL_ERROR] = 3,
	[LOG_LEVEL_INFO] = 6,
	[LOG_LEVEL_DEBUG] = 7,
};

/* A line of /dev/kmsg is cut by the kernel at about this length. */
#define LOG_LINE_MAX 900

static struct {
	const char *program;
	enum log_level level;
	char process[32];
	bool (*is_quiet)(void); /* NULL: never */
	unsigned unsaid;	/* lines, while it was */
	uint64_t session;
	char session_name[65]; /* as the contract has it, and a NUL */
} log_state = { .program = "vmm-guest-agent", .level = LOG_LEVEL_INFO };

void
log_init(const char *program, enum log_level level, enum log_target target)
{
	log_state.program = program;
	log_state.level = level;
	log_output_open(target == LOG_TARGET_KMSG);
}

void
log_set_process(const char *name)
{
	(void)strlcpy(log_state.process, name, sizeof(log_state.process));
}

void
log_set_session(uint64_t session)
{
	log_state.session = session;
	log_state.session_name[0] = '\0';
}

void
log_set_session_name(const char *name)
{
	(void)strlcpy(log_state.session_name, name, sizeof(log_state.session_name));
}

static size_t __attribute__((format(printf, 3, 0)))
log_append(char *line, size_t len, const char *format, va_list args)
{
	return len + text_format_args(line + len, LOG_LINE_MAX - len, format, args);
}

static size_t __attribute__((format(printf, 3, 4)))
log_appendf(char *line, size_t len, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	len = log_append(line, len, format, args);
	va_end(args);
	return len;
}

/* Begins a line with the program, the process and the session. Returns its length; the
 * first *RET_PREFIX bytes are for the kernel. */
static size_t
log_begin(char *line, enum log_level level, size_t *ret_prefix)
{
	size_t len = 0;

	if (log_output_is_kmsg())
		len = log_appendf(line, len, "<%d>", log_priorities[level]);
	*ret_prefix = len;
	len = log_appendf(line, len, "%s:", log_state.program);
	if (log_state.process[0] != '\0')
		len = log_appendf(line, len, " %s:", log_state.process);
	if (log_state.session != 0)
		len = log_appendf(line, len,
		    " session %llu%s%s:", (unsigned long long)log_state.session,
		    log_state.session_name[0] != '\0' ? " " : "", log_state.session_name);
	return log_appendf(line, len, " ");
}

static void
log_tell_dropped(enum log_level level, unsigned dropped, const char *why)
{
	char line[LOG_LINE_MAX + 1];
	size_t prefix;
	size_t len = log_begin(line, level, &prefix);

	len = log_appendf(line, len, "%u lines before this were lost: %s", dropped, why);
	line[len++] = '\n';
	(void)log_output_write(line, len);
}

void
log_set_quiet(bool (*is_quiet)(void))
{
	log_state.is_quiet = is_quiet;
}

static bool
log_is_quiet(void)
{
	return log_state.is_quiet != NULL && log_state.is_quiet();
}

void
log_end_quiet(void)
{
	unsigned unsaid = log_state.unsaid;

	if (unsaid == 0 || log_is_quiet())
		return;
	log_state.unsaid = 0;
	log_tell_dropped(LOG_LEVEL_ERROR, unsaid, "the guest was quiesced");
}

/* BEHIND is what the line ends with, or NULL; SEPARATOR stands in front of that. */
static void __attribute__((format(printf, 4, 0))) log_line(enum log_level level,
    const char *separator, const char *behind, const char *format, va_list args)
{
	char line[LOG_LINE_MAX + 1];
	unsigned dropped;
	size_t prefix;
	size_t len;

	if (log_is_quiet()) {
		log_state.unsaid++;
		return;
	}
	log_end_quiet();
	len = log_begin(line, level, &prefix);
	len = log_append(line, len, format, args);
	if (behind != NULL)
		len = log_appendf(line, len, "%s%s", separator, behind);
	/* Control characters of a guest's making must not forge a second line. */
	len = prefix + printable_make(line + prefix, len - prefix);
	line[len++] = '\n';
	dropped = log_output_write(line, len);
	if (dropped > 0)
		log_tell_dropped(level, dropped, "nobody read them");
}

void
log_error(int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(LOG_LEVEL_ERROR, ": ", strerror(-error), format, args);
	va_end(args);
}

void
log_write(enum log_level level, const char *format, ...)
{
	va_list args;

	if (log_state.level < level)
		return;
	va_start(args, format);
	log_line(level, "", NULL, format, args);
	va_end(args);
}

void
log_limited(struct log_limit *limit, const char *format, ...)
{
	uint64_t now = clock_mono_ms();
	char behind[sizeof("(4294967295 more of this kind were left out)")];
	uint32_t dropped = 0;
	va_list args;

	if (limit->used == 0 || now - limit->started_ms >= limit->period_ms) {
		dropped = limit->dropped;
		limit->started_ms = now;
		limit->used = 0;
		limit->dropped = 0;
	}
	if (limit->used >= limit->burst) {
		limit->dropped++;
		return;
	}
	limit->used++;
	(void)text_format(behind, sizeof(behind), "(%u more of this kind were left out)", dropped);
	va_start(args, format);
	log_line(LOG_LEVEL_ERROR, " ", dropped > 0 ? behind : NULL, format, args);
	va_end(args);
}
