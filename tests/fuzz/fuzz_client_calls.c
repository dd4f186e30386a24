/*
 * libvmmguest by a caller who calls what he likes, in any order and state, and a guest that
 * answers what it likes: no call harms the handle, and what is to be sent has an end.
 *
 * Each step is a byte that chooses a call, and one that is its argument; frames of the guest's
 * are well-formed, as fuzz_client_step has the others.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "vmm-guest/client.h"
#include "vmm-guest/protocol.h"

#define MORE "{\"path\":\"/x\",\"more\":true}"
#define INSTANCE "0123456789abcdef0123456789abcdef"

/* More pieces than there can be of what a handle has to send. */
#define PIECES_MAX 10000

static const struct {
	const char *frame;
	const char *json;
} begins[] = {
	{ "START", "{\"cmd\":[\"x\"]}" },
	{ "START", "{\"cmd\":[\"x\"],\"name\":\"s\",\"durable\":{}}" },
	{ "START", "{\"cmd\":[\"x\"],\"tty\":true,\"durable\":{},\"stdin\":false}" },
	{ "ATTACH", "{\"name\":\"s\"}" },
	{ "ATTACH", "{\"session\":3,\"input\":false}" },
	{ "CONNECT", "{\"port\":1}" },
	{ "STATUS_REQ", NULL },
	{ "CLOCK_SYNC", "{\"unix_ns\":5}" },
	{ "RESTORED", "{}" },
	{ "QUIESCE", "{}" },
	{ "FILE_WRITE_REQ", "{\"path\":\"/x\"}" },
	{ "FILE_WRITE_REQ", MORE },
	{ "FILE_READ_REQ", MORE },
	{ "FILE_TREE_REQ", MORE },
	{ "FILE_REMOVE_REQ", MORE },
	{ "FILE_LIST_REQ", "{}" },
	{ "FILE_WATCH_REQ", "{}" },
	{ "NONE", "{" },
};

static const struct {
	uint8_t type;
	const char *payload;
} answers[] = {
	{ VMM_GUEST_STDOUT, "out" },
	{ VMM_GUEST_STDOUT, "" },
	{ VMM_GUEST_STDERR, "EACCES: no" },
	{ VMM_GUEST_STDERR, "worker lost: " },
	{ VMM_GUEST_EXIT, "\0\0\0\0\0\0\0" },
	{ VMM_GUEST_EXIT, "\175\0\0\0\0\0\0" },
	{ VMM_GUEST_EXIT, "\377\377\377\377\0\0\0" },
	{ VMM_GUEST_STATUS, "{\"event\":\"started\",\"pid\":7}" },
	{ VMM_GUEST_STATUS,
	    "{\"event\":\"started\",\"pid\":7,\"session\":3,\"instance\":\"" INSTANCE "\"}" },
	{ VMM_GUEST_STATUS,
	    "{\"event\":\"attached\",\"session\":3,\"instance\":\"" INSTANCE
	    "\",\"offset\":9223372036854775807,\"lost\":0,\"stdin_bytes\":1,\"stdin_open\":true,"
	    "\"running\":true,\"tty\":false,\"columns\":0,\"rows\":0}" },
	{ VMM_GUEST_STATUS,
	    "{\"event\":\"attached\",\"session\":3,\"instance\":\"" INSTANCE
	    "\",\"offset\":0,\"lost\":0,\"stdin_bytes\":9223372036854775807,\"stdin_open\":true,"
	    "\"running\":true,\"tty\":true,\"columns\":0,\"rows\":0}" },
	{ VMM_GUEST_STATUS, "{\"event\":\"lost\",\"offset\":18446744073709551615,\"lost\":1}" },
	{ VMM_GUEST_STATUS, "{\"event\":\"lost\",\"offset\":3,\"lost\":1}" },
	{ VMM_GUEST_STATUS, "{\"event\":\"input_taken\"}" },
	{ VMM_GUEST_STATUS, "{\"event\":\"detached\",\"offset\":1}" },
	{ VMM_GUEST_STATUS, "{\"event\":\"detached\",\"why\":\"worker lost\"}" },
	{ VMM_GUEST_STATUS, "{\"event\":\"exited\",\"code\":0}" },
	{ VMM_GUEST_FILE_DATA, "data" },
	{ VMM_GUEST_FILE_DATA, "" },
	{ VMM_GUEST_FILE_DONE, "" },
	{ VMM_GUEST_FILE_ACK, "" },
	{ VMM_GUEST_FILE_ERR, "EIO: worker lost" },
	{ VMM_GUEST_FILE_ERR, "busy: all workers" },
	{ VMM_GUEST_FILE_STAT, "{\"hole\":4096}" },
	{ VMM_GUEST_FILE_STAT, "{\"path\":\"a\",\"error\":\"EACCES\"}" },
	{ VMM_GUEST_FILE_LIST, "[]" },
	{ VMM_GUEST_FILE_EVENT, "{}" },
	{ 0xee, "?" },
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static uint64_t now_ms;

/* The library's clock (--wrap of ld). */
uint64_t __wrap_clock_mono_ms(void);
uint64_t
__wrap_clock_mono_ms(void)
{
	return now_ms;
}

static void
say(struct vmm_guest *guest, size_t which)
{
	uint8_t frame[VMM_GUEST_HEADER_LEN + 512] = { answers[which].type };
	size_t len = strlen(answers[which].payload);

	if (answers[which].type == VMM_GUEST_EXIT)
		len = VMM_GUEST_EXIT_LEN;
	frame[1] = (uint8_t)len;
	frame[2] = (uint8_t)(len >> 8);
	memcpy(frame + VMM_GUEST_HEADER_LEN, answers[which].payload, len);
	(void)vmm_guest_feed(guest, frame, VMM_GUEST_HEADER_LEN + len);
}

/* Reads all bytes of what is given out. Returns whether there was an event. */
static bool
take(struct vmm_guest *guest)
{
	static volatile uint8_t sum;
	const void *data;
	size_t len;
	enum vmm_guest_event event = vmm_guest_next(guest, &data, &len);

	for (size_t i = 0; i < len; i++)
		sum ^= ((const uint8_t *)data)[i];
	return event != VMM_GUEST_EVENT_NONE;
}

static void
send_all(struct vmm_guest *guest)
{
	const void *data;
	size_t len;

	for (int i = 0; (len = vmm_guest_pending(guest, &data)) > 0; i++) {
		FUZZ_CHECK(i < PIECES_MAX);
		vmm_guest_sent(guest, len);
	}
}

static void
look(struct vmm_guest *guest)
{
	size_t len;
	int code;
	int signal;

	FUZZ_CHECK(vmm_guest_error_text(guest) != NULL && vmm_guest_error(guest) <= 0);
	FUZZ_CHECK(strlen(vmm_guest_error_text(guest)) < SIZE_MAX);
	if (vmm_guest_answer(guest) != NULL)
		FUZZ_CHECK(strlen(vmm_guest_answer(guest)) > 0);
	(void)vmm_guest_refusal(guest);
	(void)vmm_guest_exit(guest, &code, &signal);
	(void)vmm_guest_result(guest);
	(void)vmm_guest_reached(guest);
	(void)vmm_guest_room(guest);
	(void)vmm_guest_output(guest, VMM_GUEST_EVENT_STDOUT, &len);
	FUZZ_CHECK(vmm_guest_timeout_ms(guest) >= -1 && vmm_guest_fd(guest) == -1);
	FUZZ_CHECK(vmm_guest_events(guest) == 0 && vmm_guest_port(guest) <= VMM_GUEST_FILE_PORT);
}

static void
call(struct vmm_guest *guest, uint8_t what, uint8_t which)
{
	static const uint8_t input[300];
	const void *data;
	size_t len;

	switch (what % 18) {
	case 0:
		(void)vmm_guest_begin(
		    guest, begins[which % COUNT(begins)].frame, begins[which % COUNT(begins)].json);
		break;
	case 1:
	case 2:
	case 3:
		say(guest, which % COUNT(answers));
		break;
	case 4:
		(void)take(guest);
		break;
	case 5:
		for (int i = 0; take(guest); i++)
			FUZZ_CHECK(i < PIECES_MAX);
		break;
	case 6:
		send_all(guest);
		break;
	case 7:
		len = vmm_guest_pending(guest, &data);
		vmm_guest_sent(guest, which < len ? which : len);
		break;
	case 8:
		(void)vmm_guest_write(guest, input, which);
		break;
	case 9:
		(void)vmm_guest_eof(guest);
		break;
	case 10:
		(void)vmm_guest_signal(guest, which - 1);
		break;
	case 11:
		(void)vmm_guest_resize(guest, which, which);
		break;
	case 12:
		(void)vmm_guest_detach(guest);
		break;
	case 13:
		(void)vmm_guest_thaw(guest);
		break;
	case 14:
		(void)vmm_guest_ack(
		    guest, which < 128 ? which : vmm_guest_offset(guest) - which % 4u);
		break;
	case 15:
		if (which % 4 == 0)
			vmm_guest_abort(guest);
		else
			vmm_guest_hangup(guest, which % 2 != 0 ? ECONNRESET : 0);
		break;
	case 16:
		now_ms += which * which;
		vmm_guest_step(guest);
		break;
	default:
		(void)vmm_guest_set(
		    guest, which % 2 != 0 ? "retry_ms" : "handshake", which % 4 / 2);
		break;
	}
	look(guest);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmm_guest *guest = vmm_guest_new(NULL);

	FUZZ_CHECK(guest != NULL);
	now_ms = 1;
	for (; size >= 2; data += 2, size -= 2)
		call(guest, data[0], data[1]);
	vmm_guest_free(guest);
	return 0;
}
