/*
 * Frames out of what the agent sends, however it is cut.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "ctl/core/client.h"
#include "platform/fd.h"

static const struct client_target target = { .address = "", .hint = "", .cancel_fd = -1 };

/* A client whose agent is the other end of a socket pair. */
static void
make_pair(struct client *client, int *agent_fd)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	*client = (struct client)CLIENT_INIT;
	client->target = &target;
	client->fd = fds[0];
	client->deadline_ms = UINT64_MAX;
	client->reader.buffer = malloc(CLIENT_BUFFER_LEN);
	client->reader.size = CLIENT_BUFFER_LEN;
	assert_non_null(client->reader.buffer);
	*agent_fd = fds[1];
}

static void
put(int fd, uint8_t type, const void *payload, uint32_t len)
{
	uint8_t header[VMM_GUEST_HEADER_LEN];

	frame_header_format(header, type, len);
	assert_int_equal(write(fd, header, sizeof(header)), sizeof(header));
	assert_int_equal(write(fd, payload, len), len);
}

static void
test_frames_that_came_together_are_given_out_one_by_one(void **state)
{
	struct client client;
	struct client_piece piece;
	int agent_fd;

	(void)state;
	make_pair(&client, &agent_fd);
	put(agent_fd, 0x10, "one", 3);
	put(agent_fd, 0x11, "", 0);
	put(agent_fd, 0x10, "three", 5);
	assert_int_equal(client_receive(&client, &piece), 0);
	assert_int_equal(piece.type, 0x10);
	assert_memory_equal(piece.data, "one", 3);
	assert_int_equal(client_take(&client, &piece), 0);
	assert_int_equal(piece.len, 0);
	assert_true(piece.first && piece.last);
	assert_int_equal(client_take(&client, &piece), 0);
	assert_memory_equal(piece.data, "three", 5);
	assert_int_equal(client_take(&client, &piece), -EAGAIN);
	fd_close(&agent_fd);
	client_close(&client);
}

static void
test_a_frame_is_given_out_when_it_is_whole(void **state)
{
	static const uint8_t bytes[] = { 0x10, 2, 0, 0, 0, 'a', 'b' };
	struct client client;
	struct client_piece piece;
	int agent_fd;

	(void)state;
	make_pair(&client, &agent_fd);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(client_take(&client, &piece), -EAGAIN);
		assert_int_equal(write(agent_fd, bytes + i, 1), 1);
		assert_int_equal(client_fill(&client), 0);
	}
	assert_int_equal(client_take(&client, &piece), 0);
	assert_int_equal(piece.len, 2);
	assert_int_equal(client_fill(&client), -EAGAIN);
	fd_close(&agent_fd);
	assert_int_equal(client_fill(&client), -ENODATA);
	client_close(&client);
}

static void
test_an_agent_that_closes_before_it_has_read_all_has_closed(void **state)
{
	struct client client;
	struct client_piece piece;
	int agent_fd;

	(void)state;
	make_pair(&client, &agent_fd);
	assert_int_equal(client_send(&client, 0x01, "unread", 6), 0);
	put(agent_fd, 0x10, "words", 5);
	fd_close(&agent_fd);
	assert_int_equal(client_receive(&client, &piece), 0);
	assert_memory_equal(piece.data, "words", 5);
	assert_int_equal(client_receive(&client, &piece), -ENODATA);
	client_close(&client);
}

static void
test_a_large_frame_comes_in_pieces(void **state)
{
	static uint8_t bytes[CLIENT_WHOLE_MAX];
	uint8_t header[VMM_GUEST_HEADER_LEN];
	struct client client;
	struct client_piece piece;
	uint32_t total = CLIENT_WHOLE_MAX + 1;
	uint32_t got = 0;
	int agent_fd;

	(void)state;
	make_pair(&client, &agent_fd);
	frame_header_format(header, 0x10, total);
	assert_int_equal(write(agent_fd, header, sizeof(header)), sizeof(header));
	for (uint32_t sent = 0; got < total;) {
		uint32_t len = total - sent < sizeof(bytes) ? total - sent : sizeof(bytes);
		ssize_t n = len > 0 ? write(agent_fd, bytes, len) : 0;

		sent += n > 0 ? (uint32_t)n : 0;
		assert_int_equal(client_receive(&client, &piece), 0);
		assert_true(piece.len > 0 && piece.first == (got == 0));
		got += (uint32_t)piece.len;
		assert_int_equal(piece.last, got == total);
	}
	put(agent_fd, 0x12, "next", 4);
	assert_int_equal(client_receive(&client, &piece), 0);
	assert_int_equal(piece.type, 0x12);
	fd_close(&agent_fd);
	client_close(&client);
}

static void
test_a_length_above_the_limit_is_refused(void **state)
{
	uint8_t header[VMM_GUEST_HEADER_LEN];
	struct client client;
	struct client_piece piece;
	int agent_fd;

	(void)state;
	make_pair(&client, &agent_fd);
	frame_header_format(header, 0x10, VMM_GUEST_FRAME_MAX + 1);
	assert_int_equal(write(agent_fd, header, sizeof(header)), sizeof(header));
	assert_int_equal(client_receive(&client, &piece), -EMSGSIZE);
	fd_close(&agent_fd);
	client_close(&client);
}

static void
test_a_deadline_ends_the_wait(void **state)
{
	struct client client;
	struct client_piece piece;
	int agent_fd;

	(void)state;
	make_pair(&client, &agent_fd);
	client.deadline_ms = 1;
	assert_int_equal(client_receive(&client, &piece), -ETIMEDOUT);
	fd_close(&agent_fd);
	client_close(&client);
}

static void
test_a_whole_frame_has_a_nul_behind_it(void **state)
{
	struct client client;
	uint8_t type;
	size_t len;
	char *text;
	int agent_fd;

	(void)state;
	make_pair(&client, &agent_fd);
	put(agent_fd, 0x50, "{}", 2);
	put(agent_fd, 0x30, "", 0);
	assert_int_equal(client_receive_whole(&client, &type, &text, &len), 0);
	assert_int_equal(type, 0x50);
	assert_string_equal(text, "{}");
	free(text);
	assert_int_equal(client_receive_whole(&client, &type, &text, &len), 0);
	assert_int_equal(len, 0);
	assert_string_equal(text, "");
	free(text);
	fd_close(&agent_fd);
	client_close(&client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_that_came_together_are_given_out_one_by_one),
		cmocka_unit_test(test_a_frame_is_given_out_when_it_is_whole),
		cmocka_unit_test(test_an_agent_that_closes_before_it_has_read_all_has_closed),
		cmocka_unit_test(test_a_large_frame_comes_in_pieces),
		cmocka_unit_test(test_a_length_above_the_limit_is_refused),
		cmocka_unit_test(test_a_deadline_ends_the_wait),
		cmocka_unit_test(test_a_whole_frame_has_a_nul_behind_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
