/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/keys.h"

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
