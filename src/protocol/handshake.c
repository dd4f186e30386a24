/*
 * handshake: the CONNECT line of a vsock device's Unix socket, and its answer.
 *
 * SPDX-License-Identifier: MIT
 */
#include "protocol/handshake.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "platform/text.h"
#include "protocol/utf8.h"

#define HANDSHAKE_VERB "connect"

/* "connect 0\n": the device reads this many bytes before it looks for the line's end. */
#define HANDSHAKE_LINE_MIN 10

/* Of ASCII; the device takes Unicode's others too, which nobody sends. */
#define HANDSHAKE_SPACE " \t\n\v\f\r"

/* How much of TEXT is the line; 0 where that is not known yet. */
static size_t
handshake_find_end(const char *text, size_t len)
{
	const char *newline = NULL;

	if (len > HANDSHAKE_LINE_MAX)
		len = HANDSHAKE_LINE_MAX;
	if (len >= HANDSHAKE_LINE_MIN)
		newline =
		    memchr(text + HANDSHAKE_LINE_MIN - 1, '\n', len - (HANDSHAKE_LINE_MIN - 1));
	if (newline != NULL)
		return (size_t)(newline - text) + 1;
	return len == HANDSHAKE_LINE_MAX ? len : 0;
}

/* The number that all of WORD is, with a "+" before it or not. */
static int
handshake_parse_port(const char *word, size_t len, uint32_t *ret)
{
	size_t i = word[0] == '+';
	uint32_t port = 0;

	if (i == len)
		return -EBADMSG;
	for (; i < len; i++) {
		if (word[i] < '0' || word[i] > '9' || __builtin_mul_overflow(port, 10, &port) ||
		    __builtin_add_overflow(port, (uint32_t)(word[i] - '0'), &port))
			return -EBADMSG;
	}
	*ret = port;
	return 0;
}

/* Whether LINE, or as much of it as is there, begins with the verb. */
static bool
handshake_has_verb(const char *line, size_t *ret_len)
{
	const char *verb = line + strspn(line, HANDSHAKE_SPACE);
	size_t len = strcspn(verb, HANDSHAKE_SPACE);
	bool is_whole = verb[len] != '\0';

	*ret_len = (size_t)(verb - line) + len;
	return (is_whole ? len == strlen(HANDSHAKE_VERB) : len <= strlen(HANDSHAKE_VERB)) &&
	       strncasecmp(verb, HANDSHAKE_VERB, len) == 0;
}

int
handshake_parse(const char *text, size_t len, uint32_t *ret_port, size_t *ret_len)
{
	size_t line_len = handshake_find_end(text, len);
	char line[HANDSHAKE_LINE_MAX + 1];
	const char *port;
	size_t verb_len;
	int r;

	if (line_len > 0)
		len = line_len;
	memcpy(line, text, len);
	line[len] = '\0';
	/* A NUL is in no word that anybody sends. */
	if (strlen(line) != len || !handshake_has_verb(line, &verb_len))
		return -EBADMSG;
	if (line_len == 0)
		return -EAGAIN;
	port = line + verb_len + strspn(line + verb_len, HANDSHAKE_SPACE);
	if (!utf8_is_valid(port))
		return -EBADMSG;
	r = handshake_parse_port(port, strcspn(port, HANDSHAKE_SPACE), ret_port);
	if (r == 0)
		*ret_len = line_len;
	return r;
}

size_t
handshake_format_connect(char *text, size_t size, uint32_t port)
{
	return text_format(text, size, "CONNECT %u\n", port);
}

size_t
handshake_format_ok(char *text, size_t size, uint32_t number)
{
	return text_format(text, size, "OK %u\n", number);
}
