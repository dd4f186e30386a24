/*
 * kinds_exec: sessions of port 52 by a host that behaves.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "visitor.h"
#include "vmm-guest/protocol.h"

/* Less than the agent holds for a program that is slow to read: what is sent before
 * anything is read must find room. */
#define EXEC_STDIN_MAX (256u * 1024)
#define EXEC_FRAME_MAX 30000u
#define EXEC_START_MAX 1024

/* A session of the START that FORMAT makes, which must give CODE and LEN bytes of DATA. */
static enum outcome __attribute__((format(printf, 5, 6))) exec_run(
    struct visitor *visitor, int32_t code, const void *data, size_t len, const char *format, ...)
{
	char start[EXEC_START_MAX];
	enum outcome outcome;
	va_list arguments;
	int start_len;

	va_start(arguments, format);
	start_len = vsnprintf(start, sizeof(start), format, arguments);
	va_end(arguments);
	if (!visitor_open(visitor, VMM_GUEST_EXEC_PORT, &outcome))
		return outcome;
	(void)talk_send(&visitor->talk, VMM_GUEST_START, start, (size_t)start_len);
	(void)talk_send(&visitor->talk, VMM_GUEST_EOF, NULL, 0);
	talk_finish(&visitor->talk, &visitor->answer);
	return visitor_judge_exec(visitor, code, data, len);
}

static enum outcome
exec_true(struct visitor *visitor)
{
	return exec_run(visitor, 0, "", 0, "{\"cmd\":[\"/bin/true\"]}");
}

static enum outcome
exec_words(struct visitor *visitor)
{
	int32_t code = (int32_t)visitor_draw(visitor, 100);
	char word[32];
	int len = snprintf(word, sizeof(word), "w%u\n", visitor_draw(visitor, 1u << 30));

	return exec_run(visitor, code, word, (size_t)len,
	    "{\"cmd\":[\"/bin/sh\",\"-c\",\"echo %.*s; echo no >&2; exit %d\"],\"report\":true}",
	    len - 1, word, code);
}

static enum outcome
exec_missing(struct visitor *visitor)
{
	return exec_run(visitor, VMM_GUEST_EXIT_NOT_FOUND, "", 0, "{\"cmd\":[\"/no/such\"]}");
}

static enum outcome
exec_user(struct visitor *visitor)
{
	return exec_run(visitor, 0, "65534\n", 6,
	    "{\"cmd\":[\"id\",\"-u\"],\"user\":\"65534:65534\",\"working_dir\":\"~\"}");
}

static enum outcome
exec_limits(struct visitor *visitor)
{
	return exec_run(visitor, 0, "99\n", 3,
	    "{\"cmd\":[\"/bin/sh\",\"-c\",\"ulimit -n\"],\"limits\":{\"nofile\":99}}");
}

static enum outcome
exec_terminal(struct visitor *visitor)
{
	return exec_run(visitor, 0, "70 20\r\n", 7,
	    "{\"cmd\":[\"/bin/sh\",\"-c\",\"stty -echo; stty size\"],\"tty\":true,"
	    "\"tty_width\":20,\"tty_height\":70}");
}

static enum outcome
exec_detached(struct visitor *visitor)
{
	return exec_run(visitor, 0, "", 0, "{\"cmd\":[\"/bin/true\"],\"detach\":true}");
}

static enum outcome
exec_output(struct visitor *visitor)
{
	return exec_run(visitor, 0, visitor->soak->noise, NOISE_LEN, "{\"cmd\":[\"cat\",\"%s\"]}",
	    visitor->soak->noise_path);
}

static enum outcome
exec_cat(struct visitor *visitor)
{
	uint32_t start = visitor_draw(visitor, NOISE_LEN - EXEC_STDIN_MAX);
	uint32_t len = visitor_draw(visitor, EXEC_STDIN_MAX);
	const uint8_t *data = visitor->soak->noise + start;
	enum outcome outcome;

	if (!visitor_open(visitor, VMM_GUEST_EXEC_PORT, &outcome))
		return outcome;
	(void)talk_say(&visitor->talk, VMM_GUEST_START, "{\"cmd\":[\"cat\"]}");
	for (uint32_t sent = 0; sent < len;) {
		uint32_t step = 1 + visitor_draw(visitor, EXEC_FRAME_MAX);

		if (step > len - sent)
			step = len - sent;
		if (talk_send(&visitor->talk, VMM_GUEST_STDIN, data + sent, step) < 0)
			break;
		sent += step;
	}
	(void)talk_send(&visitor->talk, VMM_GUEST_EOF, NULL, 0);
	talk_finish(&visitor->talk, &visitor->answer);
	return visitor_judge_exec(visitor, 0, data, len);
}

static enum outcome
exec_signal(struct visitor *visitor)
{
	static const uint8_t term[] = { 15, 0, 0, 0 };
	enum outcome outcome;

	if (!visitor_open(visitor, VMM_GUEST_EXEC_PORT, &outcome))
		return outcome;
	(void)talk_say(
	    &visitor->talk, VMM_GUEST_START, "{\"cmd\":[\"sleep\",\"600\"],\"report\":true}");
	(void)talk_next(&visitor->talk, &visitor->answer);
	(void)talk_send(&visitor->talk, VMM_GUEST_SIGNAL, term, sizeof(term));
	talk_finish(&visitor->talk, &visitor->answer);
	return visitor_judge_exec(visitor, 128 + 15, "", 0);
}

/* ---- control ------------------------------------------------------------ */

static enum outcome
control(struct visitor *visitor, uint8_t type, const char *payload, size_t len, int32_t code)
{
	enum outcome outcome;

	if (!visitor_open(visitor, VMM_GUEST_EXEC_PORT, &outcome))
		return outcome;
	(void)talk_send(&visitor->talk, type, payload, len);
	talk_finish(&visitor->talk, &visitor->answer);
	return visitor_judge_control(visitor, code);
}

static enum outcome
control_status(struct visitor *visitor)
{
	enum outcome outcome = control(visitor, VMM_GUEST_STATUS_REQ, NULL, 0, 0);

	if (outcome == OUTCOME_WELL && strstr(visitor->answer.text, "\"slots\":") == NULL)
		return visitor_complain(visitor, "no status: '%.200s'", visitor->answer.text);
	return outcome;
}

static enum outcome
control_clock(struct visitor *visitor)
{
	return control(visitor, VMM_GUEST_CLOCK_SYNC, "eleven.....", 11, -1);
}

static enum outcome
control_restored(struct visitor *visitor)
{
	return control(visitor, VMM_GUEST_RESTORED, "{}", 2, 0);
}

static enum outcome
control_kill(struct visitor *visitor)
{
	static const char request[] = "{\"session\":18446744073709551615,\"signal\":15}";

	return control(visitor, VMM_GUEST_KILL, request, sizeof(request) - 1, 1);
}

static enum outcome
control_wait_port(struct visitor *visitor)
{
	char request[64];
	int len = snprintf(request, sizeof(request), "{\"port\":%u,\"timeout_ms\":1000}",
	    visitor->soak->echo_port);

	return control(visitor, VMM_GUEST_WAIT_PORT, request, (size_t)len, 0);
}

static enum outcome
control_connect(struct visitor *visitor)
{
	uint32_t start = visitor_draw(visitor, NOISE_LEN - EXEC_STDIN_MAX);
	uint32_t len = visitor_draw(visitor, EXEC_STDIN_MAX / 4);
	enum outcome outcome;

	if (!visitor_open(visitor, VMM_GUEST_EXEC_PORT, &outcome))
		return outcome;
	(void)talk_say(
	    &visitor->talk, VMM_GUEST_CONNECT, "{\"port\":%u}", visitor->soak->echo_port);
	(void)talk_send(&visitor->talk, VMM_GUEST_STDIN, visitor->soak->noise + start, len);
	(void)talk_send(&visitor->talk, VMM_GUEST_EOF, NULL, 0);
	talk_finish(&visitor->talk, &visitor->answer);
	return visitor_judge_exec(visitor, 0, visitor->soak->noise + start, len);
}

const struct kind kinds_exec[] = {
	{ "true", 20, exec_true },
	{ "words", 12, exec_words },
	{ "missing", 3, exec_missing },
	{ "user", 3, exec_user },
	{ "limits", 3, exec_limits },
	{ "terminal", 3, exec_terminal },
	{ "detached", 3, exec_detached },
	{ "output", 3, exec_output },
	{ "cat", 10, exec_cat },
	{ "signal", 3, exec_signal },
	{ "status", 6, control_status },
	{ "clock", 3, control_clock },
	{ "restored", 3, control_restored },
	{ "kill", 3, control_kill },
	{ "wait-port", 3, control_wait_port },
	{ "connect", 6, control_connect },
	{ 0 },
};
