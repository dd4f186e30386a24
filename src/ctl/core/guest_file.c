/*
 * guest_file: the request, its answer, and what FILE_ERR says in words.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/core/guest_file.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/errno_name.h"
#include "protocol/file_entry.h"
#include "protocol/utf8.h"

/* The largest file that the agent takes, of "file too large (>268435456 bytes)"; 0: it does not
 * tell. */
static uint64_t
guest_file_limit(const char *text)
{
	const char *number = strstr(text, "too large (>");

	return number != NULL ? strtoull(number + strlen("too large (>"), NULL, 10) : 0;
}

void
guest_file_too_large(const char *path, uint64_t limit, struct client_error *error)
{
	client_fail(error,
	    "vm:%s: file too large: the agent takes %" PRIu64 " MiB at most, which its option "
	    "max_file_mib raises",
	    path, limit >> 20);
}

/* What FILE_ERR says, in words: of an errno with a path the errno's, else the
 * agent's own. */
static int
guest_file_refused(const struct file_request *request, const char *text, struct client_error *error)
{
	int number = errno_name_parse(text);
	const char *more = strchr(text, ':');
	size_t len = strlen(request->path);

	uint64_t limit = guest_file_limit(text);

	more = more == NULL ? text : more + 1 + strspn(more + 1, " ");
	/* "EOVERFLOW: /x: the list is too long" */
	if (number == EFBIG && limit >> 20 > 0)
		guest_file_too_large(request->path, limit, error);
	else if (number != 0 && strncmp(more, request->path, len) == 0 &&
		 strncmp(more + len, ": ", 2) == 0)
		client_fail(error, "vm:%s: %s", request->path, more + len + 2);
	else if (number == 0 || (more[0] != '/' && more[0] != '\0'))
		client_fail(error, "vm:%s: %s", request->path, number == 0 ? text : more);
	else if (strcmp(more, request->path) == 0 || more[0] == '\0' ||
		 (request->path[0] != '/' && strcmp(more + 1, request->path) == 0))
		client_fail(error, "vm:%s: %s", request->path, strerror(number));
	else
		client_fail(error, "vm:%s: %s: %s", request->path, more, strerror(number));
	if (number == 0)
		return -EREMOTEIO;
	/* By that it is known here that a signal of this side's has ended it. */
	return number == ECANCELED ? -EIO : -number;
}

static int
guest_file_format(uint8_t type, const struct file_request *request, char **ret, size_t *ret_len,
    struct client_error *error)
{
	if (!utf8_is_valid(request->path) || (request->to != NULL && !utf8_is_valid(request->to)) ||
	    (request->target != NULL && !utf8_is_valid(request->target)) ||
	    (request->user != NULL && !utf8_is_valid(request->user))) {
		client_fail(error, "vm:%s: a name in the guest has to be UTF-8", request->path);
		return -EILSEQ;
	}
	*ret = file_request_format(type, request, ret_len);
	if (*ret == NULL) {
		client_fail(error, "out of memory");
		return -ENOMEM;
	}
	return 0;
}

static const char *
guest_file_frame(uint8_t type)
{
	static const char *const frames[] = {
		[VMM_GUEST_FILE_WRITE_REQ] = "FILE_WRITE_REQ",
		[VMM_GUEST_FILE_READ_REQ] = "FILE_READ_REQ",
		[VMM_GUEST_FILE_STAT_REQ] = "FILE_STAT_REQ",
		[VMM_GUEST_FILE_LIST_REQ] = "FILE_LIST_REQ",
		[VMM_GUEST_FILE_MKDIR_REQ] = "FILE_MKDIR_REQ",
		[VMM_GUEST_FILE_REMOVE_REQ] = "FILE_REMOVE_REQ",
		[VMM_GUEST_FILE_MOVE_REQ] = "FILE_MOVE_REQ",
		[VMM_GUEST_FILE_WATCH_REQ] = "FILE_WATCH_REQ",
		[VMM_GUEST_FILE_SYMLINK_REQ] = "FILE_SYMLINK_REQ",
		[VMM_GUEST_FILE_SET_REQ] = "FILE_SET_REQ",
		[VMM_GUEST_FILE_TREE_REQ] = "FILE_TREE_REQ",
		[VMM_GUEST_FILE_LINK_REQ] = "FILE_LINK_REQ",
	};

	return frames[type];
}

int
guest_file_begin(struct guest *guest, uint8_t type, const struct file_request *request,
    struct client_error *error)
{
	size_t len;
	char *json;
	int r = guest_file_format(type, request, &json, &len, error);

	if (r < 0)
		return r;
	r = guest_begin(guest, guest_file_frame(type), json, error);
	free(json);
	return r;
}

int
guest_file_open(struct guest *ret, const struct client_target *target, uint8_t type,
    const struct file_request *request, struct client_error *error)
{
	int r = guest_open(ret, target, error);

	return r < 0 ? r : guest_file_begin(ret, type, request, error);
}

int
guest_file_end(struct guest *guest, const struct file_request *request, struct client_error *error)
{
	const char *words = vmm_guest_refusal(guest->handle);
	int r = vmm_guest_result(guest->handle);

	if (r >= 0)
		return r;
	if (words != NULL)
		return guest_file_refused(request, words, error);
	r = guest_error(guest);
	guest_explain(guest, r, error);
	return r;
}

/* Waits for EVENT, _END or one in front of it, with its JSON. */
static int
guest_file_expect(struct guest *guest, const struct file_request *request,
    enum vmm_guest_event event, const char **ret_text, size_t *ret_len, struct client_error *error)
{
	const void *data;
	enum vmm_guest_event found = guest_wait(guest, &data, ret_len);
	int r = found == VMM_GUEST_EVENT_END ? guest_file_end(guest, request, error) : 0;

	*ret_text = data;
	return r == 0 && found != event ? guest_break(guest, error) : r;
}

/* TEXT in a new block, a NUL behind it. */
static int
guest_file_keep(const char *text, size_t len, char **ret, struct client_error *error)
{
	*ret = malloc(len + 1);
	if (*ret == NULL) {
		client_fail(error, "out of memory");
		return -ENOMEM;
	}
	memcpy(*ret, text, len + 1);
	return 0;
}

int
guest_file_ask(const struct client_target *target, uint8_t type, const struct file_request *request,
    uint8_t answer, char **ret_text, size_t *ret_len, struct client_error *error)
{
	struct guest CLEANUP_GUEST guest = { 0 };
	const char *text;
	size_t len;
	int r = guest_file_open(&guest, target, type, request, error);

	if (r == 0)
		r = guest_file_expect(&guest, request,
		    answer == VMM_GUEST_FILE_ACK ? VMM_GUEST_EVENT_END : VMM_GUEST_EVENT_ENTRY,
		    &text, &len, error);
	if (r < 0 || ret_text == NULL)
		return r;
	*ret_len = len;
	return guest_file_keep(text, len, ret_text, error);
}

int
guest_file_ask_on(struct guest *guest, uint8_t type, const struct file_request *request,
    struct client_error *error)
{
	const char *text;
	size_t len;
	int r = guest_file_begin(guest, type, request, error);

	return r < 0 ? r
		     : guest_file_expect(guest, request, VMM_GUEST_EVENT_END, &text, &len, error);
}

int
guest_file_watch(const struct client_target *target, const struct file_request *request,
    struct guest *ret, struct client_error *error)
{
	const char *text;
	size_t len;
	int r = guest_file_open(ret, target, VMM_GUEST_FILE_WATCH_REQ, request, error);

	if (r < 0)
		return r;
	return guest_file_expect(ret, request, VMM_GUEST_EVENT_READY, &text, &len, error);
}

int
guest_file_next_event(struct guest *guest, const struct file_request *request,
    const char **ret_text, size_t *ret_len, struct client_error *error)
{
	return guest_file_expect(guest, request, VMM_GUEST_EVENT_CHANGE, ret_text, ret_len, error);
}

/* Puts what an errno does not tell into words. */
static void
guest_file_reword(const struct file_request *request, int r, struct client_error *error)
{
	size_t len = strlen(error->text);
	size_t tail = strlen(strerror(EINVAL));

	if (r == -EINVAL && len >= tail && strcmp(error->text + len - tail, strerror(EINVAL)) == 0)
		client_fail(error, "vm:%s: not a regular file", request->path);
}

int
guest_file_read(const struct client_target *target, const struct file_request *request,
    const struct guest_file_reader *reader, struct client_error *error)
{
	struct guest CLEANUP_GUEST guest = { 0 };
	enum vmm_guest_event event = VMM_GUEST_EVENT_DATA;
	const void *data;
	size_t len;
	int r = guest_file_open(&guest, target, VMM_GUEST_FILE_READ_REQ, request, error);

	while (r == 0) {
		event = guest_wait(&guest, &data, &len);
		if (event != VMM_GUEST_EVENT_DATA)
			break;
		r = reader->write(reader->argument, data, len, error);
	}
	if (r == 0 && event != VMM_GUEST_EVENT_END)
		return guest_break(&guest, error);
	if (r == 0)
		r = guest_file_end(&guest, request, error);
	if (r < 0 && event == VMM_GUEST_EVENT_END)
		guest_file_reword(request, r, error);
	return r;
}

/* Writes what SOURCE has now. Returns 0; 1 where nothing else is to be written; or -errno. */
static int
guest_file_send(struct guest *guest, const struct guest_file_source *source, int64_t *sent,
    struct client_error *error)
{
	int64_t n = vmm_guest_write_fd(guest->handle, source->fd, source->tells_holes);

	if (n == -EAGAIN)
		return 0;
	/* The agent has refused it: why is still to be read. */
	if (n == -EPIPE)
		return 1;
	if (n < 0) {
		client_fail(error, "can't read %s: %s", source->name, strerror((int)-n));
		return (int)n;
	}
	*sent += n;
	source->count(source->argument, n);
	if (n == 0)
		(void)vmm_guest_eof(guest->handle);
	return n == 0;
}

/* Sends all that SOURCE has, until there is an end. Returns 0; or -errno where that is this side's.
 */
static int
guest_file_send_all(struct guest *guest, const struct guest_file_source *source, int64_t *sent,
    struct client_error *error)
{
	enum vmm_guest_event event;
	bool is_over = false;
	const void *data;
	size_t len;
	int r;

	for (;;) {
		/* What a step has received may be all that comes: it is taken before the wait. */
		vmm_guest_step(guest->handle);
		event = guest_next(guest, &data, &len);
		if (event != VMM_GUEST_EVENT_NONE)
			return event == VMM_GUEST_EVENT_END ? 0 : guest_break(guest, error);
		r = guest_poll(
		    guest, !is_over && vmm_guest_room(guest->handle) > 0 ? source->fd : -1);
		if (r < 0) {
			guest_explain(guest, r, error);
			return r;
		}
		if (r == 0)
			continue;
		r = guest_file_send(guest, source, sent, error);
		if (r < 0)
			return r;
		is_over = r > 0;
	}
}

int
guest_file_write(const struct client_target *target, const struct file_request *request,
    const struct guest_file_source *source, struct client_error *error)
{
	struct guest CLEANUP_GUEST guest = { 0 };
	int64_t sent = 0;
	int r = guest_file_open(&guest, target, VMM_GUEST_FILE_WRITE_REQ, request, error);

	if (r < 0)
		return r;
	r = guest_file_send_all(&guest, source, &sent, error);
	if (r == 0)
		r = guest_file_end(&guest, request, error);
	if (r < 0) {
		guest_file_reword(request, r, error);
		source->count(source->argument, -sent);
	}
	return r;
}
