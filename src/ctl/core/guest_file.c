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
	return number == 0 ? -EREMOTEIO : -number;
}

static int
guest_file_lost(struct client *client, int r, struct client_error *error)
{
	client_explain(client, r, error);
	return r;
}

int
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

int
guest_file_open(const struct client_target *target, uint8_t type,
    const struct file_request *request, struct client *client, struct client_error *error)
{
	size_t len;
	char *json;
	int r = guest_file_format(type, request, &json, &len, error);

	if (r < 0)
		return r;
	r = client_open(client, target, VMM_GUEST_FILE_PORT, CLIENT_CONNECT_MS, error);
	if (r == 0) {
		r = client_send(client, type, json, len);
		/* The agent may have refused already, and said why. */
		if (client_is_gone(r))
			r = 0;
		else if (r < 0)
			client_explain(client, r, error);
	}
	free(json);
	return r;
}

/* Waits for a frame of type ANSWER. */
static int
guest_file_expect(struct client *client, const struct file_request *request, uint8_t answer,
    char **ret_text, size_t *ret_len, struct client_error *error)
{
	uint8_t type;
	char *text;
	size_t len;
	int r = client_receive_whole(client, &type, &text, &len);

	if (r < 0)
		return guest_file_lost(client, r, error);
	if (type == VMM_GUEST_FILE_ERR)
		r = guest_file_refused(request, text, error);
	else if (type != answer)
		r = guest_file_lost(client, -EMSGSIZE, error);
	if (r < 0 || ret_text == NULL) {
		free(text);
		return r;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

int
guest_file_ask(const struct client_target *target, uint8_t type, const struct file_request *request,
    uint8_t answer, char **ret_text, size_t *ret_len, struct client_error *error)
{
	struct client CLEANUP_CLIENT client = CLIENT_INIT;
	int r = guest_file_open(target, type, request, &client, error);

	if (r < 0)
		return r;
	return guest_file_expect(&client, request, answer, ret_text, ret_len, error);
}

int
guest_file_watch(const struct client_target *target, const struct file_request *request,
    struct client *ret, struct client_error *error)
{
	int r = guest_file_open(target, VMM_GUEST_FILE_WATCH_REQ, request, ret, error);

	if (r < 0)
		return r;
	return guest_file_expect(ret, request, VMM_GUEST_FILE_ACK, NULL, NULL, error);
}

int
guest_file_next_event(struct client *client, const struct file_request *request, char **ret_text,
    size_t *ret_len, struct client_error *error)
{
	return guest_file_expect(client, request, VMM_GUEST_FILE_EVENT, ret_text, ret_len, error);
}

int
guest_file_refused_piece(const struct file_request *request, const struct client_piece *piece,
    struct client_error *error)
{
	char text[sizeof(error->text)];
	size_t len = piece->len < sizeof(text) - 1 ? piece->len : sizeof(text) - 1;

	memcpy(text, piece->data, len);
	text[len] = '\0';
	return guest_file_refused(request, text, error);
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
	struct client CLEANUP_CLIENT client = CLIENT_INIT;
	struct client_piece piece;
	int r = guest_file_open(target, VMM_GUEST_FILE_READ_REQ, request, &client, error);

	while (r == 0) {
		r = client_receive(&client, &piece);
		if (r < 0)
			return guest_file_lost(&client, r, error);
		switch (piece.type) {
		case VMM_GUEST_FILE_DATA:
			r = reader->write(reader->argument, piece.data, piece.len, error);
			break;
		case VMM_GUEST_FILE_DONE:
			return 0;
		case VMM_GUEST_FILE_ERR:
			r = guest_file_refused_piece(request, &piece, error);
			guest_file_reword(request, r, error);
			return r;
		default:
			return guest_file_lost(&client, -EMSGSIZE, error);
		}
	}
	return r;
}

/* Waits until there is something to read at SOURCE_FD. Returns 0; 1 if the agent has
 * something to say first, which can only be a refusal; or -errno. */
static int
guest_file_wait_source(struct client *client, int source_fd)
{
	struct pollfd polls[3] = {
		{ .fd = source_fd, .events = POLLIN },
		{ .fd = client->fd, .events = POLLIN },
		{ .fd = client->target->cancel_fd, .events = POLLIN },
	};
	int r;

	client_expect_nothing(client);
	r = client_poll(client, polls, 3);
	client_expect_answer(client);
	if (r < 0)
		return r;
	if (polls[2].revents != 0)
		return -ECANCELED;
	return polls[1].revents != 0 ? 1 : 0;
}

/* Goes to the next data of the file FD, *RET_HOLE bytes further on, or to its end; *LEN is made no
 * more than there is of it. */
static int
guest_file_skip_hole(int fd, uint64_t *ret_hole, size_t *len)
{
	off_t at = lseek(fd, 0, SEEK_CUR);
	off_t begin = at < 0 ? -1 : lseek(fd, at, SEEK_DATA);
	off_t end;

	/* Behind the last data is the end. What can't tell has data alone. */
	if (at >= 0 && begin < 0)
		begin = errno == ENXIO ? lseek(fd, 0, SEEK_END) : at;
	if (begin < 0)
		return -errno;
	if (begin < at)
		begin = at;
	end = lseek(fd, begin, SEEK_HOLE);
	if (end > begin && (uint64_t)(end - begin) < *len)
		*len = (size_t)(end - begin);
	*ret_hole = (uint64_t)(begin - at);
	return lseek(fd, begin, SEEK_SET) < 0 ? -errno : 0;
}

ssize_t
guest_file_read_source(const struct guest_file_source *source, uint8_t *buffer, uint64_t *ret_hole,
    struct client_error *error)
{
	size_t len = VMM_GUEST_DATA_MAX;
	ssize_t n = 0;

	*ret_hole = 0;
	if (source->tells_holes)
		n = guest_file_skip_hole(source->fd, ret_hole, &len);
	while (n == 0) {
		n = read(source->fd, buffer, len);
		if (n >= 0)
			return n;
		n = errno == EINTR ? 0 : -errno;
	}
	client_fail(error, "can't read %s: %s", source->name, strerror((int)-n));
	return n;
}

static int
guest_file_send_hole(struct client *client, uint64_t hole)
{
	char text[FILE_HOLE_TEXT_MAX];
	size_t len = file_hole_format(hole, text);

	return hole > 0 ? client_send(client, VMM_GUEST_FILE_STAT, text, len) : 0;
}

/* Sends DATA frames until the end of the source, then DONE. Returns 0 when it is
 * time to read the answer. */
static int
guest_file_send_all(struct client *client, const struct guest_file_source *source, uint8_t *buffer,
    int64_t *sent, struct client_error *error)
{
	uint64_t hole;
	ssize_t n = 1;
	int r = 0;

	while (r == 0 && n > 0) {
		r = guest_file_wait_source(client, source->fd);
		if (r != 0)
			break;
		n = guest_file_read_source(source, buffer, &hole, error);
		if (n < 0)
			return (int)n;
		r = guest_file_send_hole(client, hole);
		if (r == 0)
			r = client_send(client, n > 0 ? VMM_GUEST_FILE_DATA : VMM_GUEST_FILE_DONE,
			    buffer, (size_t)n);
		if (r == 0) {
			*sent += (int64_t)hole + n;
			source->count(source->argument, (int64_t)hole + n);
		}
	}
	if (r == 1 || client_is_gone(r))
		return 0;
	return r < 0 ? guest_file_lost(client, r, error) : 0;
}

int
guest_file_write(const struct client_target *target, const struct file_request *request,
    const struct guest_file_source *source, struct client_error *error)
{
	struct client CLEANUP_CLIENT client = CLIENT_INIT;
	uint8_t *buffer;
	int64_t sent = 0;
	int r = guest_file_open(target, VMM_GUEST_FILE_WRITE_REQ, request, &client, error);

	if (r < 0)
		return r;
	buffer = malloc(VMM_GUEST_DATA_MAX);
	if (buffer == NULL) {
		client_fail(error, "out of memory");
		return -ENOMEM;
	}
	r = guest_file_send_all(&client, source, buffer, &sent, error);
	free(buffer);
	if (r == 0)
		r = guest_file_expect(&client, request, VMM_GUEST_FILE_ACK, NULL, NULL, error);
	if (r < 0) {
		guest_file_reword(request, r, error);
		source->count(source->argument, -sent);
	}
	return r;
}
