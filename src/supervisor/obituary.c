/*
 * obituary: the last words to the host of a session whose worker has died.
 */
#include "supervisor/obituary.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "platform/fd.h"
#include "platform/fdpass.h"
#include "protocol/frame.h"

#define OBITUARY_MAX 256

/* To the letter of the contract: hosts compare it. */
#define OBITUARY_FILE_ERR "EIO: worker lost"

static size_t
obituary_add_frame(uint8_t *bytes, uint8_t type, const void *payload, size_t len)
{
	frame_header_format(bytes, type, (uint32_t)len);
	memcpy(bytes + VMM_GUEST_HEADER_LEN, payload, len);
	return VMM_GUEST_HEADER_LEN + len;
}

static size_t
obituary_add_exit(uint8_t *bytes, int32_t code)
{
	uint8_t payload[VMM_GUEST_EXIT_LEN];

	frame_exit_format(payload, (struct frame_exit){ .code = code });
	return obituary_add_frame(bytes, VMM_GUEST_EXIT, payload, sizeof(payload));
}

static size_t
obituary_text(char *text, size_t size, const char *format, const char *cause)
{
	int n = snprintf(text, size, "%s%s", format, cause);

	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

size_t
obituary_format(uint8_t voice, const char *cause, uint8_t *bytes, size_t size)
{
	const size_t frames_len = 2 * VMM_GUEST_HEADER_LEN + VMM_GUEST_EXIT_LEN + 1;
	char text[OBITUARY_MAX];
	size_t len;

	if (size < frames_len + sizeof(text))
		return 0;
	switch (voice) {
	case SLOT_VOICE_EXEC:
		len = obituary_text(text, sizeof(text) - 1, "worker lost: ", cause);
		text[len++] = '\n';
		len = obituary_add_frame(bytes, VMM_GUEST_STDERR, text, len);
		return len + obituary_add_exit(bytes + len, VMM_GUEST_EXIT_AGENT);
	case SLOT_VOICE_CONTROL:
		return obituary_add_exit(bytes, VMM_GUEST_EXIT_CONTROL_FAILED);
	case SLOT_VOICE_FILE:
		return obituary_add_frame(
		    bytes, VMM_GUEST_FILE_ERR, OBITUARY_FILE_ERR, strlen(OBITUARY_FILE_ERR));
	default:
		return 0;
	}
}

bool
obituary_send(int queue_fd, const struct slot *slot, const char *cause)
{
	uint8_t bytes[2 * OBITUARY_MAX];
	int CLEANUP_FD conn_fd = -1;
	size_t len;

	if (fdpass_take(queue_fd, &conn_fd) < 0)
		return false;
	/* A worker that dies between putting the connection there and saying so has
	 * read nothing yet: the phase is older than the queue. */
	if (atomic_load(&slot->phase) <= SLOT_OPEN && atomic_load(&slot->in_frame) == 0) {
		len = obituary_format(atomic_load(&slot->voice), cause, bytes, sizeof(bytes));
		if (len > 0)
			(void)send(conn_fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	(void)shutdown(conn_fd, SHUT_RDWR);
	return true;
}
