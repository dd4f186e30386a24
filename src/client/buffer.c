/*
 * SPDX-License-Identifier: MIT
 */
#include "client/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_FIRST 256

int
buffer_add(struct buffer *buffer, const void *data, size_t len, size_t max)
{
	size_t needed;
	size_t size = buffer->size > 0 ? buffer->size : BUFFER_FIRST;
	char *grown;

	if (len > max || buffer->len > max - len)
		return -EMSGSIZE;
	needed = buffer->len + len + 1;
	while (size < needed)
		size *= 2;
	if (size > buffer->size) {
		grown = realloc(buffer->data, size);
		if (grown == NULL)
			return -ENOMEM;
		buffer->data = grown;
		buffer->size = size;
	}
	if (len > 0)
		memcpy(buffer->data + buffer->len, data, len);
	buffer->len += len;
	buffer->data[buffer->len] = '\0';
	return 0;
}

void
buffer_done(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){ 0 };
}
