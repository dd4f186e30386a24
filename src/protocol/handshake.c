/*
 * handshake: the CONNECT line of a vsock device's Unix socket, and its answer.
 */
#include "protocol/handshake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HANDSHAKE_VERB "CONNECT "

int
handshake_parse(const char *text, size_t len, uint32_t *ret_port, size_t *ret_len)
{
	const size_t verb_len = strlen(HANDSHAKE_VERB);
	const char *newline =
	    memchr(text, '\n', len < HANDSHAKE_LINE_MAX ? len : HANDSHAKE_LINE_MAX);
	char digits[HANDSHAKE_LINE_MAX];
	const char *error;
	long long port;
	size_t n;

	if (memcmp(text, HANDSHAKE_VERB, len < verb_len ? len : verb_len) != 0)
		return -EBADMSG;
	if (newline == NULL)
		return len < HANDSHAKE_LINE_MAX ? -EAGAIN : -EBADMSG;
	n = (size_t)(newline - text);
	if (n <= verb_len || text[verb_len] < '0' || text[verb_len] > '9')
		return -EBADMSG;
	memcpy(digits, text + verb_len, n - verb_len);
	digits[n - verb_len] = '\0';
	port = strtonum(digits, 0, UINT32_MAX, &error);
	if (error != NULL || strlen(digits) != n - verb_len)
		return -EBADMSG;
	*ret_port = (uint32_t)port;
	*ret_len = n + 1;
	return 0;
}

size_t
handshake_format_connect(char *text, size_t size, uint32_t port)
{
	int n = snprintf(text, size, HANDSHAKE_VERB "%u\n", port);

	return n < 0 ? 0 : (size_t)n;
}

size_t
handshake_format_ok(char *text, size_t size, uint32_t number)
{
	int n = snprintf(text, size, "OK %u\n", number);

	return n < 0 ? 0 : (size_t)n;
}
