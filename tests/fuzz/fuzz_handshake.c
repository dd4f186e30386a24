/*
 * The CONNECT line: once it is refused more bytes do not help, and once it is
 * taken they change nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include <errno.h>

#include "protocol/handshake.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t port = 0;
	size_t len = 0;
	int last = -EAGAIN;

	for (size_t have = 0; have <= size && have <= 2 * HANDSHAKE_LINE_MAX; have++) {
		char *text = fuzz_string(data, have);
		uint32_t this_port = 0;
		size_t this_len = 0;
		int r = handshake_parse(text, have, &this_port, &this_len);

		free(text);
		FUZZ_CHECK(r == 0 || r == -EAGAIN || r == -EBADMSG);
		FUZZ_CHECK(last == -EAGAIN || r == last);
		FUZZ_CHECK(r != -EAGAIN || have < HANDSHAKE_LINE_MAX);
		if (r == 0) {
			FUZZ_CHECK(this_len <= have && this_len <= HANDSHAKE_LINE_MAX);
			FUZZ_CHECK(last == -EAGAIN || (this_port == port && this_len == len));
		}
		port = this_port;
		len = this_len;
		last = r;
	}
	return 0;
}
