/*
 * copy_out_ahead: two blocks of events. The thread fills one while the other is taken, and hands
 * it over when it is full, or before the thread has to wait for the agent.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/copy/copy_out_ahead.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/target.h"
#include "vmm-guest/protocol.h"

/* An event has no more than one piece of a frame to keep, less than two of the largest that an
 * agent sends, and its own struct. */
#define COPY_OUT_AHEAD_LEN (3ul * VMM_GUEST_DATA_MAX)
#define COPY_OUT_AHEAD_BLOCKS 2

struct copy_out_ahead_event {
	int event;
	size_t size; /* with what is behind it */
	struct guest_tree_item item;
};

struct copy_out_ahead_block {
	bool is_takers; /* else the thread fills it */
	size_t len;
	_Alignas(struct copy_out_ahead_event) uint8_t bytes[COPY_OUT_AHEAD_LEN];
};

struct copy_out_ahead {
	struct guest_tree guest; /* the thread's, and so the next three */
	unsigned filled;	 /* the block that is filled */
	int end;		 /* what ended it */
	struct client_error error;
	unsigned taken; /* the taker's: the block that is taken, and so the next */
	size_t at;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_stopped;
	struct copy_out_ahead_block blocks[COPY_OUT_AHEAD_BLOCKS];
};

/* Gives BLOCK to the other side, and waits until NEXT is ours. Returns false where that will not
 * be. */
static bool
copy_out_ahead_swap(struct copy_out_ahead *ahead, struct copy_out_ahead_block *block,
    struct copy_out_ahead_block *next, bool is_taker)
{
	bool goes_on;

	(void)pthread_mutex_lock(&ahead->lock);
	block->is_takers = !is_taker;
	(void)pthread_cond_signal(&ahead->changed);
	while (next->is_takers != is_taker && !ahead->is_stopped)
		(void)pthread_cond_wait(&ahead->changed, &ahead->lock);
	goes_on = !ahead->is_stopped;
	(void)pthread_mutex_unlock(&ahead->lock);
	return goes_on;
}

/* ---- the thread ---------------------------------------------------------- */

static bool
copy_out_ahead_hand_over(struct copy_out_ahead *ahead)
{
	struct copy_out_ahead_block *block = &ahead->blocks[ahead->filled];

	ahead->filled = (ahead->filled + 1) % COPY_OUT_AHEAD_BLOCKS;
	if (!copy_out_ahead_swap(ahead, block, &ahead->blocks[ahead->filled], false))
		return false;
	ahead->blocks[ahead->filled].len = 0;
	return true;
}

/* Copies the LEN bytes at FROM to *PLACE, which is moved behind them. */
static const void *
copy_out_ahead_keep(uint8_t **place, const void *from, size_t len)
{
	const void *kept = *place;

	if (len > 0)
		memcpy(*place, from, len);
	*place += len;
	return kept;
}

static const char *
copy_out_ahead_keep_text(uint8_t **place, const char *text)
{
	return copy_out_ahead_keep(place, text, strlen(text) + 1);
}

/* Puts EVENT into a block. Returns false where nobody will take it. */
static bool
copy_out_ahead_put(struct copy_out_ahead *ahead, int event)
{
	struct copy_out_ahead_event put = { .event = event, .item = ahead->guest.item };
	struct file_tree_entry *entry = &put.item.entry;
	size_t data_len = event == GUEST_TREE_DATA ? (size_t)put.item.len : 0;
	bool has_entry = event == GUEST_TREE_ENTRY;
	bool has_failed = event == GUEST_TREE_FAILED;
	struct copy_out_ahead_block *block;
	uint8_t *place;

	put.size = sizeof(put) + data_len;
	if (has_entry || has_failed)
		put.size += strlen(entry->path) + 1;
	if (has_entry)
		put.size += strlen(entry->entry.symlink_target) + 1;
	if (has_failed)
		put.size += strlen(entry->error) + 1;
	put.size += -put.size % _Alignof(struct copy_out_ahead_event);
	block = &ahead->blocks[ahead->filled];
	if (put.size > sizeof(block->bytes) - block->len) {
		if (!copy_out_ahead_hand_over(ahead))
			return false;
		block = &ahead->blocks[ahead->filled];
	}
	place = block->bytes + block->len + sizeof(put);
	if (has_entry || has_failed)
		entry->path = copy_out_ahead_keep_text(&place, entry->path);
	if (has_entry)
		entry->entry.symlink_target =
		    copy_out_ahead_keep_text(&place, entry->entry.symlink_target);
	if (has_failed)
		entry->error = copy_out_ahead_keep_text(&place, entry->error);
	put.item.data = copy_out_ahead_keep(&place, put.item.data, data_len);
	memcpy(block->bytes + block->len, &put, sizeof(put));
	block->len += put.size;
	return true;
}

static void *
copy_out_ahead_thread(void *argument)
{
	struct copy_out_ahead *ahead = argument;
	bool goes_on = true;
	int r = 0;

	while (goes_on && r >= 0 && r != GUEST_TREE_END) {
		r = guest_tree_take(&ahead->guest, &ahead->error);
		if (r >= 0) {
			goes_on = copy_out_ahead_put(ahead, r);
		} else if (r == -EAGAIN) {
			if (ahead->blocks[ahead->filled].len > 0)
				goes_on = copy_out_ahead_hand_over(ahead);
			r = guest_tree_receive(&ahead->guest, &ahead->error);
		}
	}
	if (r < 0) {
		ahead->end = guest_tree_is_unknown(&ahead->guest, r) ? -ENOSYS : r;
		goes_on = goes_on && copy_out_ahead_put(ahead, ahead->end);
	}
	if (goes_on)
		(void)copy_out_ahead_hand_over(ahead);
	return NULL;
}

/* ---- the other side ------------------------------------------------------ */

int
copy_out_ahead_start(
    struct copy_out_ahead **ret, const struct file_request *request, struct client_error *error)
{
	struct copy_out_ahead *ahead = malloc(sizeof(*ahead));
	int r;

	if (ahead == NULL) {
		client_fail(error, "out of memory");
		return -ENOMEM;
	}
	memset(ahead, 0, offsetof(struct copy_out_ahead, blocks));
	for (size_t i = 0; i < COPY_OUT_AHEAD_BLOCKS; i++) {
		ahead->blocks[i].is_takers = false;
		ahead->blocks[i].len = 0;
	}
	/* This side begins with one that has nothing in it. */
	ahead->taken = COPY_OUT_AHEAD_BLOCKS - 1;
	ahead->blocks[ahead->taken].is_takers = true;
	(void)pthread_mutex_init(&ahead->lock, NULL);
	(void)pthread_cond_init(&ahead->changed, NULL);
	r = guest_tree_open(&ahead->guest, target_agent(), request, error);
	if (r == 0 && pthread_create(&ahead->thread, NULL, copy_out_ahead_thread, ahead) != 0) {
		client_fail(error, "out of memory");
		r = -ENOMEM;
	}
	if (r < 0) {
		guest_tree_close(&ahead->guest);
		free(ahead);
		return r;
	}
	*ret = ahead;
	return 0;
}

int
copy_out_ahead_next(
    struct copy_out_ahead *ahead, const struct guest_tree_item **ret, struct client_error *error)
{
	struct copy_out_ahead_block *block = &ahead->blocks[ahead->taken];
	const struct copy_out_ahead_event *event;

	if (ahead->at == block->len) {
		ahead->taken = (ahead->taken + 1) % COPY_OUT_AHEAD_BLOCKS;
		(void)copy_out_ahead_swap(ahead, block, &ahead->blocks[ahead->taken], true);
		block = &ahead->blocks[ahead->taken];
		ahead->at = 0;
	}
	event = (const struct copy_out_ahead_event *)(const void *)(block->bytes + ahead->at);
	ahead->at += event->size;
	*ret = &event->item;
	if (event->event < 0)
		*error = ahead->error;
	return event->event;
}

void
copy_out_ahead_stop(struct copy_out_ahead *ahead)
{
	if (ahead == NULL)
		return;
	(void)pthread_mutex_lock(&ahead->lock);
	ahead->is_stopped = true;
	(void)pthread_cond_signal(&ahead->changed);
	(void)pthread_mutex_unlock(&ahead->lock);
	/* Where it waits for the agent, that ends. */
	guest_tree_stop(&ahead->guest);
	(void)pthread_join(ahead->thread, NULL);
	guest_tree_close(&ahead->guest);
	free(ahead);
}
