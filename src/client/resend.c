/*
 * SPDX-License-Identifier: MIT
 */
#include "client/resend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RESEND_SIZE (RESEND_KEEP + RESEND_UNSENT_MAX)

void
resend_done(struct resend *resend)
{
	free(resend->ring);
	resend->ring = NULL;
}

size_t
resend_room(const struct resend *resend)
{
	uint64_t waits = resend->end - resend->next;

	return waits < RESEND_UNSENT_MAX ? RESEND_UNSENT_MAX - (size_t)waits : 0;
}

uint8_t *
resend_place(struct resend *resend, size_t *ret_room)
{
	size_t place = resend->end % RESEND_SIZE;
	size_t room = resend_room(resend);

	if (resend->ring == NULL)
		resend->ring = malloc(RESEND_SIZE);
	if (resend->ring == NULL)
		return NULL;
	*ret_room = room < RESEND_SIZE - place ? room : RESEND_SIZE - place;
	return resend->ring + place;
}

int
resend_put(struct resend *resend, const uint8_t *data, size_t len)
{
	size_t first;
	uint8_t *place = resend_place(resend, &first);

	if (place == NULL)
		return -ENOMEM;
	first = RESEND_SIZE - (size_t)(place - resend->ring);
	first = first < len ? first : len;
	memcpy(place, data, first);
	memcpy(resend->ring, data + first, len - first);
	resend->end += len;
	return 0;
}

size_t
resend_take(struct resend *resend, uint8_t *data, size_t max)
{
	uint64_t waits = resend->end - resend->next;
	size_t place = resend->next % RESEND_SIZE;
	size_t len = RESEND_SIZE - place;

	len = len < max ? len : max;
	len = len < waits ? len : (size_t)waits;
	if (len == 0)
		return 0;
	memcpy(data, resend->ring + place, len);
	resend->next += len;
	if (resend->sent < resend->next)
		resend->sent = resend->next;
	return len;
}

bool
resend_has_bytes(const struct resend *resend)
{
	return resend->next < resend->end;
}

bool
resend_has_end(const struct resend *resend)
{
	return resend->has_eof && !resend->eof_is_sent && !resend_has_bytes(resend);
}

int
resend_rewind(struct resend *resend, uint64_t stdin_bytes, uint64_t *ret_missing)
{
	uint64_t oldest = resend->end > RESEND_SIZE ? resend->end - RESEND_SIZE : 0;
	uint64_t arrived = stdin_bytes - resend->base;

	/* More than we have sent, or fewer than were there before us. */
	if (stdin_bytes < resend->base || arrived > resend->sent) {
		resend->base = stdin_bytes - resend->sent;
		arrived = resend->sent;
	}
	if (arrived < oldest) {
		*ret_missing = oldest - arrived;
		return -ERANGE;
	}
	resend->next = arrived;
	if (resend_has_bytes(resend))
		resend->eof_is_sent = false;
	return 0;
}
