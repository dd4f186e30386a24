/*
 * kinds_file: sessions of port 53 by a host that behaves.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "visitor.h"
#include "vmm-guest/protocol.h"

#define FILE_LEN_MAX (128u * 1024)
#define FILE_FRAME_MAX 40000u

/* Whether the visitor's file holds LEN bytes of noise from START, or is not there. */
static bool
file_holds(struct visitor *visitor, size_t start, size_t len)
{
	static _Thread_local uint8_t content[FILE_LEN_MAX + 1];
	int fd = open(visitor->file, O_RDONLY | O_CLOEXEC);
	size_t got = 0;
	ssize_t n;

	if (fd < 0)
		return start == FILE_NONE;
	while ((n = read(fd, content + got, sizeof(content) - got)) > 0)
		got += (size_t)n;
	(void)close(fd);
	return start != FILE_NONE && got == len &&
	       memcmp(content, visitor->soak->noise + start, len) == 0;
}

/* After a WRITE of LEN bytes from START: the file is the old one or the new one. */
static enum outcome
file_settle(struct visitor *visitor, size_t start, size_t len, enum outcome outcome)
{
	if (file_holds(visitor, start, len)) {
		visitor->file_start = start;
		visitor->file_len = len;
		return outcome;
	}
	if (outcome == OUTCOME_WELL)
		return visitor_complain(visitor, "ACK, and %s is not written", visitor->file);
	if (!file_holds(visitor, visitor->file_start, visitor->file_len))
		return visitor_complain(visitor, "%s is neither old nor new", visitor->file);
	return outcome;
}

static enum outcome
file_write(struct visitor *visitor)
{
	uint32_t start = visitor_draw(visitor, NOISE_LEN - FILE_LEN_MAX);
	uint32_t len = visitor_draw(visitor, FILE_LEN_MAX);
	enum outcome outcome;

	if (!visitor_open(visitor, VMM_GUEST_FILE_PORT, &outcome))
		return outcome;
	(void)talk_say(
	    &visitor->talk, VMM_GUEST_FILE_WRITE_REQ, "{\"path\":\"%s\"}", visitor->file);
	for (uint32_t sent = 0; sent < len;) {
		uint32_t step = 1 + visitor_draw(visitor, FILE_FRAME_MAX);

		if (step > len - sent)
			step = len - sent;
		if (visitor_draw(visitor, 4) == 0)
			(void)talk_say(&visitor->talk, VMM_GUEST_FILE_STAT, "{\"hole\":0}");
		if (talk_send(&visitor->talk, VMM_GUEST_FILE_DATA,
			visitor->soak->noise + start + sent, step) < 0)
			break;
		sent += step;
	}
	(void)talk_send(&visitor->talk, VMM_GUEST_FILE_DONE, NULL, 0);
	talk_finish(&visitor->talk, &visitor->answer);
	outcome = visitor_judge_file(visitor, VMM_GUEST_FILE_ACK, "", 0);
	return file_settle(visitor, start, len, outcome);
}

/* A request of one frame: {"path":PATH MORE. */
static enum outcome
file_ask(struct visitor *visitor, uint8_t type, const char *path, const char *more, uint8_t last,
    const void *data, size_t len)
{
	enum outcome outcome;

	if (!visitor_open(visitor, VMM_GUEST_FILE_PORT, &outcome))
		return outcome;
	(void)talk_say(&visitor->talk, type, "{\"path\":\"%s\"%s}", path, more);
	talk_finish(&visitor->talk, &visitor->answer);
	return visitor_judge_file(visitor, last, data, len);
}

static enum outcome
file_read(struct visitor *visitor)
{
	if (visitor->file_start == FILE_NONE)
		return file_write(visitor);
	return file_ask(visitor, VMM_GUEST_FILE_READ_REQ, visitor->file, "", VMM_GUEST_FILE_DONE,
	    visitor->soak->noise + visitor->file_start, visitor->file_len);
}

static enum outcome
file_read_much(struct visitor *visitor)
{
	bool is_tree = visitor_draw(visitor, 2) == 0;

	return file_ask(visitor, is_tree ? VMM_GUEST_FILE_TREE_REQ : VMM_GUEST_FILE_READ_REQ,
	    visitor->soak->noise_path, "", is_tree ? VMM_GUEST_FILE_ACK : VMM_GUEST_FILE_DONE,
	    visitor->soak->noise, NOISE_LEN);
}

static enum outcome
file_stat(struct visitor *visitor)
{
	enum outcome outcome = file_ask(visitor, VMM_GUEST_FILE_STAT_REQ, visitor->soak->noise_path,
	    "", VMM_GUEST_FILE_STAT, "", 0);

	if (outcome == OUTCOME_WELL && strstr(visitor->answer.text, "\"size\":1048576,") == NULL)
		return visitor_complain(visitor, "STAT says '%s'", visitor->answer.text);
	return outcome;
}

static enum outcome
file_list(struct visitor *visitor, const char *path, const char *name)
{
	enum outcome outcome =
	    file_ask(visitor, VMM_GUEST_FILE_LIST_REQ, path, "", VMM_GUEST_FILE_LIST, "", 0);

	if (outcome == OUTCOME_WELL && strstr(visitor->answer.text, name) == NULL)
		return visitor_complain(
		    visitor, "LIST without %s says '%.200s'", name, visitor->answer.text);
	return outcome;
}

/* A tree is made, looked at, moved and removed, as far as that goes well. */
static enum outcome
file_tree(struct visitor *visitor)
{
	char path[sizeof(visitor->directory) + 32];
	char below[sizeof(path) + 32];
	char to[sizeof(path) + 32];
	enum outcome outcome;

	(void)snprintf(
	    path, sizeof(path), "%s/%u", visitor->directory, visitor_draw(visitor, 1u << 30));
	(void)snprintf(below, sizeof(below), "%s/a/b/c", path);
	outcome = file_ask(
	    visitor, VMM_GUEST_FILE_MKDIR_REQ, below, ",\"mode\":448", VMM_GUEST_FILE_ACK, "", 0);
	(void)snprintf(below, sizeof(below), "%s/a/b", path);
	if (outcome == OUTCOME_WELL)
		outcome = file_list(visitor, below, "\"name\":\"c\"");
	if (outcome == OUTCOME_WELL)
		outcome =
		    file_ask(visitor, VMM_GUEST_FILE_TREE_REQ, path, "", VMM_GUEST_FILE_ACK, "", 0);
	if (outcome == OUTCOME_WELL && !visitor_open(visitor, VMM_GUEST_FILE_PORT, &outcome))
		return outcome;
	if (outcome == OUTCOME_WELL) {
		(void)snprintf(to, sizeof(to), "%s/d", path);
		(void)talk_say(&visitor->talk, VMM_GUEST_FILE_MOVE_REQ,
		    "{\"from\":\"%s\",\"to\":\"%s\"}", below, to);
		talk_finish(&visitor->talk, &visitor->answer);
		outcome = visitor_judge_file(visitor, VMM_GUEST_FILE_ACK, "", 0);
	}
	if (outcome != OUTCOME_WELL)
		return outcome;
	outcome = file_ask(visitor, VMM_GUEST_FILE_REMOVE_REQ, path, ",\"recursive\":true",
	    VMM_GUEST_FILE_ACK, "", 0);
	if (outcome == OUTCOME_WELL && access(path, F_OK) == 0)
		return visitor_complain(visitor, "ACK, and %s is there", path);
	return outcome;
}

static enum outcome
file_watch(struct visitor *visitor)
{
	char name[32];
	char path[sizeof(visitor->directory) + sizeof(name)];
	enum outcome outcome;
	uint8_t type;
	int fd;

	if (!visitor_open(visitor, VMM_GUEST_FILE_PORT, &outcome))
		return outcome;
	(void)talk_say(
	    &visitor->talk, VMM_GUEST_FILE_WATCH_REQ, "{\"path\":\"%s\"}", visitor->directory);
	type = talk_next(&visitor->talk, &visitor->answer);
	(void)snprintf(name, sizeof(name), "seen-%u", visitor_draw(visitor, 1u << 30));
	(void)snprintf(path, sizeof(path), "%s/%s", visitor->directory, name);
	if (type == VMM_GUEST_FILE_ACK) {
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0 || close(fd) < 0 || unlink(path) < 0)
			return visitor_complain(visitor, "%s: %s", path, strerror(errno));
	}
	while (type == VMM_GUEST_FILE_ACK || type == VMM_GUEST_FILE_EVENT) {
		type = talk_next(&visitor->talk, &visitor->answer);
		if (strstr(visitor->answer.text, name) != NULL)
			return OUTCOME_WELL;
	}
	talk_finish(&visitor->talk, &visitor->answer);
	return visitor_judge_file(visitor, VMM_GUEST_FILE_ERR, "", 0);
}

/* Another name for the noise, in place of the one of the last time. */
static enum outcome
file_link(struct visitor *visitor)
{
	char path[sizeof(visitor->directory) + 32];
	enum outcome outcome;

	(void)snprintf(
	    path, sizeof(path), "%s/noise-%u", visitor->directory, visitor_draw(visitor, 2));
	if (!visitor_open(visitor, VMM_GUEST_FILE_PORT, &outcome))
		return outcome;
	(void)talk_say(&visitor->talk, VMM_GUEST_FILE_LINK_REQ, "{\"from\":\"%s\",\"to\":\"%s\"}",
	    visitor->soak->noise_path, path);
	talk_finish(&visitor->talk, &visitor->answer);
	outcome = visitor_judge_file(visitor, VMM_GUEST_FILE_ACK, "", 0);
	if (outcome == OUTCOME_WELL && access(path, F_OK) < 0)
		return visitor_complain(visitor, "ACK, and there is no %s", path);
	return outcome;
}

const struct kind kinds_file[] = {
	{ "write", 14, file_write },
	{ "read", 8, file_read },
	{ "read-much", 3, file_read_much },
	{ "stat", 8, file_stat },
	{ "tree", 4, file_tree },
	{ "link", 2, file_link },
	{ "watch", 4, file_watch },
	{ 0 },
};
