/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/keys.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "platform/clock.h"

#define KEYS_CONTROL 0x40 /* Ctrl-A is A without this bit */

bool
keys_complete_escape(struct keys_escape *escape, const uint8_t *typed, size_t len, uint64_t now_ms)
{
	for (size_t i = 0; i < len; i++) {
		if (typed[i] != KEYS_ESCAPE) {
			escape->count = 0;
			continue;
		}
		if (escape->count == 0 || now_ms - escape->first_ms > KEYS_MS) {
			escape->count = 0;
			escape->first_ms = now_ms;
		}
		if (++escape->count == KEYS_ESCAPE_COUNT)
			return true;
	}
	return false;
}

/* One key at TEXT. Returns its length there; 0: it is not one. */
static size_t
keys_parse_one(const char *text, uint8_t *ret)
{
	size_t front = strncasecmp(text, "ctrl-", 5) == 0 ? 5 : 0;
	int c;

	if (front == 0 && text[0] == '^' && text[1] != '\0' && text[1] != ',')
		front = 1;
	c = (unsigned char)text[front];
	if (c <= ' ' || c > '~' || c == ',')
		return 0;
	if (front > 0 && (toupper(c) < '@' || toupper(c) > '_'))
		return 0;
	*ret = (uint8_t)(front > 0 ? toupper(c) ^ KEYS_CONTROL : c);
	return front + 1;
}

int
keys_parse_detach(const char *text, struct keys_detach *ret)
{
	struct keys_detach detach = { .due_ms = CLOCK_NEVER };

	for (bool more = strcmp(text, "none") != 0; more; text++) {
		size_t len = detach.count < KEYS_DETACH_MAX
				 ? keys_parse_one(text, &detach.keys[detach.count])
				 : 0;

		text += len;
		if (len == 0 || (*text != '\0' && *text != ','))
			return -EINVAL;
		detach.count++;
		more = *text == ',';
	}
	*ret = detach;
	return 0;
}

void
keys_format_detach(const struct keys_detach *detach, char *text)
{
	text[0] = '\0';
	for (unsigned i = 0; i < detach->count; i++) {
		uint8_t key = detach->keys[i];
		bool is_control = key < ' ';
		size_t used = strlen(text);

		(void)snprintf(text + used, KEYS_TEXT_MAX - used, "%s%s%c", i > 0 ? " " : "",
		    is_control ? "Ctrl-" : "", is_control ? key ^ KEYS_CONTROL : key);
	}
}

/* Takes KEY. What can't be the beginning of the keys any more goes to OUT. */
static size_t
keys_take_one(struct keys_detach *detach, uint8_t key, uint8_t *out)
{
	uint8_t typed[KEYS_DETACH_MAX];
	size_t count = detach->typed;
	size_t len = 0;

	memcpy(typed, detach->keys, count);
	typed[count++] = key;
	/* The first of them twice is one for the program. */
	if (count == 2 && key == detach->keys[0] && key != detach->keys[1]) {
		out[0] = key;
		detach->typed = 0;
		return 1;
	}
	while (count > 0 && memcmp(typed + len, detach->keys, count) != 0) {
		len++;
		count--;
	}
	memcpy(out, typed, len);
	detach->typed = (unsigned)count;
	return len;
}

size_t
keys_take_typed(struct keys_detach *detach, const uint8_t *typed, size_t len, uint64_t now_ms,
    uint8_t *out, bool *ret_leaves)
{
	size_t out_len = keys_take_due(detach, now_ms, out);

	*ret_leaves = false;
	if (detach->count == 0) {
		memcpy(out + out_len, typed, len);
		return out_len + len;
	}
	for (size_t i = 0; i < len && !*ret_leaves; i++) {
		out_len += keys_take_one(detach, typed[i], out + out_len);
		*ret_leaves = detach->typed == detach->count;
	}
	if (*ret_leaves)
		detach->typed = 0;
	detach->due_ms = detach->typed > 0 ? now_ms + KEYS_MS : CLOCK_NEVER;
	return out_len;
}

size_t
keys_take_due(struct keys_detach *detach, uint64_t now_ms, uint8_t *out)
{
	size_t len = now_ms >= detach->due_ms ? detach->typed : 0;

	if (len == 0)
		return 0;
	memcpy(out, detach->keys, len);
	detach->typed = 0;
	detach->due_ms = CLOCK_NEVER;
	return len;
}
