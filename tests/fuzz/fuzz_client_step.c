/*
 * What a guest that is an attacker's answers, cut as he likes, to each kind of operation of
 * libvmmguest: it takes no more memory than its limits say, and there is one end.
 *
 * The first byte chooses the operation, the next ones how long the pieces are that follow; one of
 * no length is the connection's end, and behind it time passes until the handle wants to do
 * something: a durable session is come back to.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include <errno.h>
#include <sanitizer/allocator_interface.h>
#include <stdbool.h>
#include <string.h>

#include "vmm-guest/client.h"

/* Of the first byte: the host writes something. */
#define INPUT 0x80u

#define JSON_LIMIT 4096
#define MORE "{\"path\":\"/x\",\"more\":true}"

/* What a handle has: what is received and what is sent (64 and 256 KiB), its line, two answers and
 * words, each grown to twice what it holds, what is parsed of JSON (each two bytes are some 800 in
 * memory), and of a durable session its ring. */
#define MEMORY_MAX (3u * 1024 * 1024)
#define RING_MAX (5u * 1024 * 1024)

static const struct {
	const char *frame;
	const char *json;
	bool has_input;
	bool is_durable;
	bool shakes;
	bool owns_name;
} kinds[] = {
	{ "START", "{\"cmd\":[\"x\"]}", true, false, false },
	{ "START", "{\"cmd\":[\"x\"],\"name\":\"s\",\"durable\":{}}", true, true, false },
	{ "ATTACH", "{\"name\":\"s\"}", true, true, true },
	{ "CONNECT", "{\"port\":1}", true, false, false },
	{ "STATUS_REQ", "", false, false, true },
	{ "RESTORED", "{}", false, false, false },
	{ "QUIESCE", "{}", false, false, false },
	{ "FILE_WRITE_REQ", "{\"path\":\"/x\"}", true, false, false },
	{ "FILE_READ_REQ", "{\"path\":\"/x\"}", false, false, false },
	{ "FILE_LIST_REQ", "{\"path\":\"/x\"}", false, false, false },
	{ "FILE_TREE_REQ", "{\"path\":\"/x\"}", false, false, false },
	{ "FILE_WATCH_REQ", "{\"path\":\"/x\"}", false, false, false },
	{ "FILE_WRITE_REQ", MORE, true, false, false },
	{ "START", "{\"cmd\":[\"x\"],\"name\":\"o\",\"durable\":{}}", true, true, false,
	    .owns_name = true },
};

static size_t base;
static size_t limit;
static uint64_t now_ms;

/* The library's clock (--wrap of ld). */
uint64_t __wrap_clock_mono_ms(void);
uint64_t
__wrap_clock_mono_ms(void)
{
	return now_ms;
}
static unsigned ends; /* that are still to come */

/* Reads all bytes of what is given out, sends what is to be sent. Returns whether it is over. */
static bool
go_on(struct vmm_guest *guest)
{
	static volatile uint8_t sum;
	enum vmm_guest_event event;
	const void *data;
	size_t len;
	bool is_over = false;

	while ((event = vmm_guest_next(guest, &data, &len)) != VMM_GUEST_EVENT_NONE) {
		FUZZ_CHECK(!is_over);
		for (size_t i = 0; i < len; i++)
			sum ^= ((const uint8_t *)data)[i];
		if (event == VMM_GUEST_EVENT_STATUS || event == VMM_GUEST_EVENT_ENTRY ||
		    event == VMM_GUEST_EVENT_CHANGE)
			FUZZ_CHECK(len <= JSON_LIMIT && ((const char *)data)[len] == '\0');
		if (event == VMM_GUEST_EVENT_END || event == VMM_GUEST_EVENT_LEFT)
			is_over = --ends == 0;
		FUZZ_CHECK(__sanitizer_get_current_allocated_bytes() < base + limit);
	}
	while ((len = vmm_guest_pending(guest, &data)) > 0)
		vmm_guest_sent(guest, len);
	FUZZ_CHECK(__sanitizer_get_current_allocated_bytes() < base + limit);
	return is_over;
}

/* Ends the connection, and lets pass what is to be waited for. */
static bool
hang_up(struct vmm_guest *guest, int error)
{
	bool is_over;
	int wait_ms;

	vmm_guest_hangup(guest, error);
	is_over = go_on(guest);
	wait_ms = vmm_guest_timeout_ms(guest);
	if (is_over || wait_ms < 0)
		return is_over;
	now_ms += (uint64_t)wait_ms;
	return go_on(guest);
}

/* Pieces, until there is an end. */
static void
feed(struct vmm_guest *guest, const uint8_t *data, size_t size)
{
	bool is_over = go_on(guest);

	while (size > 0 && !is_over) {
		size_t len = data[0] < size ? data[0] : size - 1;
		size_t taken = 0;

		if (data[0] == 0)
			is_over = hang_up(guest, size % 2 != 0 ? ECONNRESET : 0);
		while (taken < len && !is_over) {
			size_t n = vmm_guest_feed(guest, data + 1 + taken, len - taken);

			taken += n;
			is_over = go_on(guest);
			if (n == 0)
				break;
		}
		data += len + 1;
		size -= len + 1;
	}
	FUZZ_CHECK(!is_over || vmm_guest_result(guest) != -EALREADY);
}

static void
send_ahead(struct vmm_guest *guest)
{
	static const char *const frames[] = { "FILE_READ_REQ", "FILE_LIST_REQ", "FILE_TREE_REQ" };

	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		FUZZ_CHECK(vmm_guest_begin(guest, frames[i], MORE) == 0);
		ends++;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmm_guest *guest;
	size_t kind;

	if (size == 0)
		return 0;
	kind = (data[0] & ~INPUT) % (sizeof(kinds) / sizeof(kinds[0]));
	base = __sanitizer_get_current_allocated_bytes();
	limit = MEMORY_MAX + (kinds[kind].is_durable ? RING_MAX : 0);
	now_ms = 1;
	guest = vmm_guest_new(NULL);
	FUZZ_CHECK(guest != NULL);
	FUZZ_CHECK(vmm_guest_set(guest, "json_max", JSON_LIMIT) == 0);
	FUZZ_CHECK(vmm_guest_set(guest, "handshake", kinds[kind].shakes) == 0);
	FUZZ_CHECK(vmm_guest_set(guest, "own_name", kinds[kind].owns_name) == 0);
	FUZZ_CHECK(vmm_guest_begin(guest, kinds[kind].frame, kinds[kind].json) == 0);
	ends = 1;
	if (kinds[kind].has_input && (data[0] & INPUT) != 0) {
		(void)go_on(guest);
		FUZZ_CHECK(vmm_guest_write(guest, "input", 5) >= 0);
		FUZZ_CHECK(vmm_guest_eof(guest) == 0);
		/* Others go behind it. */
		if (strcmp(kinds[kind].json, MORE) == 0)
			send_ahead(guest);
	}
	feed(guest, data + 1, size - 1);
	vmm_guest_free(guest);
	return 0;
}
