/*
 * message: one description of a message's members, from which it is read and written. For
 * protocol/ alone, as json.h.
 *
 * A message is read whole or refused, and written whole or not at all.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_MESSAGE_H
#define PROTOCOL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/json.h"

enum message_kind_name {
	MESSAGE_FLAG,	  /* bool */
	MESSAGE_UNSIGNED, /* an integer of SIZE bytes, LOW to MOST */
	MESSAGE_SIGNED,	  /* an integer of SIZE bytes, all that it holds */
	MESSAGE_REAL,	  /* double, written with three digits behind the point */
	MESSAGE_TEXT,	  /* const char *, UTF-8; read, it is the tree's */
	MESSAGE_NAME,	  /* the same, and the name of a session, session_name.h */
	MESSAGE_BYTES,	  /* the same; what is not UTF-8 is written as U+FFFD */
	MESSAGE_WORD,	  /* an enum: the index in MORE, an array of words with NULL last */
	MESSAGE_OBJECT,	  /* MORE's members, of the same struct */
	MESSAGE_TEXTS,	  /* const char **, as many as the size_t at BESIDE; read, NULL last */
	MESSAGE_OBJECTS,  /* the same of structs of SIZE bytes, each with MORE's members */
	MESSAGE_CUSTOM,	  /* by MORE, a struct message_kind */
};

enum message_flag {
	MESSAGE_NEEDED = 1 << 0,   /* it must be there */
	MESSAGE_ALWAYS = 1 << 1,   /* it is written though it is at its default */
	MESSAGE_OPTIONAL = 1 << 2, /* the uint8_t at BESIDE says whether it is there */
	MESSAGE_OPEN = 1 << 3,	   /* a word that is not known is read as the last one */
};

/* The least that an unsigned number is. */
enum message_least {
	MESSAGE_FROM_0 = 0,
	MESSAGE_FROM_1,
	MESSAGE_FROM_NOFILE, /* what protocol.h says of it; so the next, and those below */
	MESSAGE_FROM_BUFFER,
};

/* The most that an unsigned number is. */
enum message_most {
	MESSAGE_ALL = 0, /* that SIZE holds */
	MESSAGE_U32,	 /* 2^32 - 1 */
	MESSAGE_PIDS,	 /* 2^31 - 1 */
	MESSAGE_OFFSETS, /* 2^63 - 1 */
	MESSAGE_KIB,	 /* what a number of bytes may be */
	MESSAGE_SIGNALS, /* 64 */
	MESSAGE_NANOS,	 /* 999999999 */
	MESSAGE_IDS,	 /* 2^32 - 2: (uid_t)-1 stands for nobody, chown(2) */
	MESSAGE_BUFFER,
	MESSAGE_KEEP,
	MESSAGE_WITHIN,
	MESSAGE_HOLD,
};

/* There are more than a hundred rows: a row is small. */
struct message_member {
	const char *name;
	unsigned offset : 11;
	unsigned beside : 11; /* of a count, or of the uint8_t of MESSAGE_OPTIONAL */
	unsigned size : 8;
	unsigned least : 2;
	unsigned sets : 12; /* of which messages it is a member, if one table has several; 0: all */
	unsigned bit : 8;   /* of that uint8_t; 0: the member goes with one that has a bit */
	unsigned kind : 4;
	unsigned flags : 4;
	unsigned most : 4;
	union {
		uint64_t initial; /* what it is if not given: a number, a flag, a word; else 0 */
		const char *text; /* a text; NULL: "" */
		const void *more; /* what the kind says */
	};
};

struct message {
	const struct message_member *members;
	unsigned count;
	unsigned set; /* 0: no matter */
};

/* What a kind is made of. The first reads VALUE into BASE, with ERROR filled in where it
 * can't. The second makes the value of what is in BASE; NULL: no memory. The third says
 * whether that is what a reader takes it for where it is not given. */
typedef void message_read_fn(const struct message_member *member, struct json_object *value,
    void *base, struct json_error *error);
typedef struct json_object *message_make_fn(const struct message_member *member, const void *base);
typedef bool message_is_initial_fn(const struct message_member *member, const void *base);

struct message_kind {
	message_read_fn *read;
	message_make_fn *make;
	message_is_initial_fn *is_initial;
};

/* Rows of a table. */
#define MESSAGE_AT(type, member)                                                                   \
	.size = sizeof(((type *)NULL)->member), .offset = offsetof(type, member)
#define MESSAGE_OF(table)                                                                          \
	{                                                                                          \
		.members = (table), .count = sizeof(table) / sizeof((table)[0])                    \
	}

/* Reads the members of OBJECT into BASE, which is to be zero at first. What is wrong
 * goes into ERROR. Strings and arrays are OBJECT's from then on. */
void message_read(const struct message *message, struct json_object *object, void *base,
    struct json_error *error);

/* Parses the LEN bytes of TEXT and reads them into BASE. Returns 0, with the tree that owns
 * strings and arrays in *RET_JSON (NULL: the message has none); or ERROR's code:
 * -EINVAL, or -ENOMEM. */
int message_parse(const struct message *message, const char *text, size_t len, void *base,
    struct json_object **ret_json, struct json_error *error);

/* BASE as JSON in a new block that the caller frees; NULL: no memory, or a needed
 * string is NULL. *RET_LEN is the length without the NUL. */
char *message_format(const struct message *message, const void *base, size_t *ret_len);

#endif
