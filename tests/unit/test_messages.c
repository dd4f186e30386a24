/*
 * Every message of the contract, both ways: what is written is read as the same, and
 * where memory fails, at any point, it is read whole or refused and written whole or
 * not at all. The allocations of json-c are failed with ours: malloc(3) is this program's.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "protocol/attach_request.h"
#include "protocol/control_request.h"
#include "protocol/file_entry.h"
#include "protocol/file_request.h"
#include "protocol/message.h"
#include "protocol/net_request.h"
#include "protocol/port_request.h"
#include "protocol/report.h"
#include "protocol/restored_request.h"
#include "protocol/start.h"
#include "protocol/status.h"
#include "failing_memory.h"
#include "vmm-guest/protocol.h"

struct net_quads {
	struct net_text text;
};

/* ---- the messages -------------------------------------------------------- */

/* Reads TEXT while memory may fail; then, *RET_SEEN is what was understood, as text. */
typedef int read_fn(const char *text, size_t len, char **ret_seen);
/* What TEXT says, written while memory may fail; NULL where it did. */
typedef char *write_fn(const char *text, size_t len, size_t fail_at, bool goes_on);

/* For a message that is read to a struct and written from the same: PARSE and FORMAT are calls
 * with TEXT, LEN, REQUEST, ERROR, and REQUEST, SIZE. */
#define MESSAGE_FUNCTIONS(name, type, parse, format, done)                                         \
	static int name##_read(const char *text, size_t len, char **ret_seen)                      \
	{                                                                                          \
		struct json_error error;                                                           \
		size_t size;                                                                       \
		type request;                                                                      \
		int r = parse;                                                                     \
                                                                                                   \
		memory.watches = false;                                                            \
		if (r < 0) {                                                                       \
			assert_int_equal(r, error.code);                                           \
			assert_string_not_equal(error.text, "");                                   \
			return r;                                                                  \
		}                                                                                  \
		*ret_seen = format;                                                                \
		done;                                                                              \
		return 0;                                                                          \
	}                                                                                          \
	static char *name##_write(const char *text, size_t len, size_t fail_at, bool goes_on)      \
	{                                                                                          \
		struct json_error error;                                                           \
		size_t size;                                                                       \
		type request;                                                                      \
		char *made;                                                                        \
                                                                                                   \
		assert_int_equal(parse, 0);                                                        \
		memory_watch(fail_at, goes_on);                                                    \
		made = format;                                                                     \
		memory.watches = false;                                                            \
		done;                                                                              \
		return made;                                                                       \
	}

MESSAGE_FUNCTIONS(start, struct start_request, start_parse(text, len, &request, &error),
    start_format(&request, &size), start_done(&request))
MESSAGE_FUNCTIONS(halt, struct control_shutdown,
    control_shutdown_parse(text, len, &request, &error), control_shutdown_format(&request, &size),
    (void)0)
MESSAGE_FUNCTIONS(kill, struct control_kill, control_kill_parse(text, len, &request, &error),
    control_kill_format(&request, &size), (void)0)
MESSAGE_FUNCTIONS(look, struct control_status, control_status_parse(text, len, &request, &error),
    control_status_format(&request, &size), (void)0)
MESSAGE_FUNCTIONS(wait, struct port_wait, port_wait_parse(text, len, &request, &error),
    port_wait_format(&request, &size), (void)0)

/* The agent only reads it; this is how a host would write it, by the same members. */
static char *
net_text(const struct net_request *request, size_t *ret_size)
{
	static const struct message_member table[] = { NET_REQUEST_MEMBERS(
	    struct net_quads, text) };
	static const struct message message = MESSAGE_OF(table);
	struct net_quads quads = {
		.text = { .ip = "10.0.9.2",
		    .netmask = "255.255.255.0",
		    .gateway = request->gateway_text },
	};

	return message_format(&message, &quads, ret_size);
}
MESSAGE_FUNCTIONS(net, struct net_request, net_request_parse(text, len, &request, &error),
    net_text(&request, &size), (void)0)
MESSAGE_FUNCTIONS(target, struct port_target, port_target_parse(text, len, &request, &error),
    request.address.any.sa_family == AF_UNIX
	? port_target_format(NULL, 0, request.name, &size)
	: port_target_format("127.0.0.2", ntohs(request.address.in.sin_port), NULL, &size),
    (void)0)
MESSAGE_FUNCTIONS(status, struct status, status_parse(text, len, &request, &error),
    status_format(&request, &size), status_done(&request))
MESSAGE_FUNCTIONS(answer, struct restored_status,
    restored_status_parse(text, len, &request, &error), restored_status_format(&request, &size),
    (void)0)
MESSAGE_FUNCTIONS(report, struct report, report_parse(text, len, &request, &error),
    report_format(&request, &size), report_done(&request))
MESSAGE_FUNCTIONS(attach, struct attach_request,
    attach_request_parse(VMM_GUEST_ATTACH, text, len, &request, &error),
    attach_request_format(VMM_GUEST_ATTACH, &request, &size), attach_request_done(&request))
MESSAGE_FUNCTIONS(forget, struct attach_request,
    attach_request_parse(VMM_GUEST_FORGET, text, len, &request, &error),
    attach_request_format(VMM_GUEST_FORGET, &request, &size), attach_request_done(&request))
MESSAGE_FUNCTIONS(entry, struct file_listing, file_listing_parse_one(text, len, &request, &error),
    file_entry_format(&request.entries[0], &size), file_listing_done(&request))

/* The requests of port 53. */
#define FILE_FUNCTIONS(name, frame)                                                                \
	MESSAGE_FUNCTIONS(name, struct file_request,                                               \
	    file_request_parse(frame, text, len, &request, &error),                                \
	    file_request_format(frame, &request, &size), file_request_done(&request))
FILE_FUNCTIONS(file_write, VMM_GUEST_FILE_WRITE_REQ)
FILE_FUNCTIONS(file_read, VMM_GUEST_FILE_READ_REQ)
FILE_FUNCTIONS(file_stat, VMM_GUEST_FILE_STAT_REQ)
FILE_FUNCTIONS(file_list, VMM_GUEST_FILE_LIST_REQ)
FILE_FUNCTIONS(file_mkdir, VMM_GUEST_FILE_MKDIR_REQ)
FILE_FUNCTIONS(file_remove, VMM_GUEST_FILE_REMOVE_REQ)
FILE_FUNCTIONS(file_move, VMM_GUEST_FILE_MOVE_REQ)
FILE_FUNCTIONS(file_watch, VMM_GUEST_FILE_WATCH_REQ)
FILE_FUNCTIONS(file_symlink, VMM_GUEST_FILE_SYMLINK_REQ)
FILE_FUNCTIONS(file_link, VMM_GUEST_FILE_LINK_REQ)
FILE_FUNCTIONS(file_set, VMM_GUEST_FILE_SET_REQ)
FILE_FUNCTIONS(file_tree, VMM_GUEST_FILE_TREE_REQ)

struct tree_entry {
	struct file_tree_entry entry;
	struct json_object *json;
};
MESSAGE_FUNCTIONS(tree_entry, struct tree_entry,
    file_tree_parse(text, len, &request.entry, &request.json, &error),
    file_tree_format(&request.entry, &size), json_put(&request.json))

struct event {
	struct file_event event;
	struct json_object *json;
};
MESSAGE_FUNCTIONS(event, struct event,
    file_event_parse(text, len, &request.event, &request.json, &error),
    file_event_format(&request.event, &size), json_put(&request.json))

static struct restored_request restored;

static char *
restored_text(const struct restored_request *request, size_t *ret_size)
{
	const struct restored_format format = {
		.unix_ns = request->unix_ns,
		.entropy = request->entropy,
		.entropy_len = request->entropy_len,
		.has_generation = (request->have & 1u << RESTORED_GENERATION) != 0,
		.generation = request->generation,
		.hostname = request->hostname,
		.machine_id = request->machine_id,
		.has_env = (request->have & 1u << RESTORED_ENV) != 0,
		.env = request->env,
		.env_count = request->env_count,
		.ip = "10.0.9.2",
		.netmask = "255.255.255.0",
		.gateway = request->net.gateway_text,
		.holds = (request->have & 1u << RESTORED_HOLD) != 0,
	};

	return restored_request_format(&format, ret_size);
}
MESSAGE_FUNCTIONS(restored, int,
    (request = restored_request_parse(text, len, &restored, &error), request),
    restored_text(&restored, &size), restored_request_done(&restored))

/* A list is made of entries, one by one. */
static char *
listing_text(const struct file_listing *listing, size_t *ret_size)
{
	struct file_list list = { 0 };
	char *text;
	int r = 0;

	for (size_t i = 0; r == 0 && i < listing->count; i++)
		r = file_list_add(&list, &listing->entries[i]);
	if (r == 0)
		r = file_list_finish(&list);
	text = r == 0 ? calloc(1, list.len + 1) : NULL;
	if (text != NULL)
		memcpy(text, list.text, list.len);
	*ret_size = list.len;
	file_list_done(&list);
	return text;
}
MESSAGE_FUNCTIONS(listing, struct file_listing, file_listing_parse(text, len, &request, &error),
    listing_text(&request, &size), file_listing_done(&request))

#define ENTRY                                                                                      \
	"{\"name\":\"a name of some length, which does not fit into thirty-two bytes\","           \
	"\"kind\":\"symlink\",\"size\":12345678901,\"mode\":4095,\"mtime_secs\":-5,"               \
	"\"mtime_nanos\":999999999,\"uid\":4294967295,\"gid\":7,\"symlink_target\":\"/t/\\\"x\"}"

#define INSTANCE "\"instance\":\"00112233445566778899aabbccddeeff\""

#define OWNER "\"uid\":0,\"gid\":4294967294,\"mtime_secs\":0,\"mtime_nanos\":7"

#define GUEST                                                                                      \
	"\"guest\":{\"kernel\":\"6.1\",\"uptime_ms\":1,\"cpus\":2,\"cpu\":{\"user_ms\":1,"         \
	"\"nice_ms\":2,\"system_ms\":3,\"idle_ms\":4,\"iowait_ms\":5,\"irq_ms\":6,"                \
	"\"softirq_ms\":7,\"steal_ms\":8},\"memory\":{\"total_bytes\":1,\"free_bytes\":2,"         \
	"\"available_bytes\":3,\"swap_total_bytes\":4,\"swap_free_bytes\":5},\"root\":{"           \
	"\"total_bytes\":1,\"free_bytes\":2,\"inodes\":3,\"free_inodes\":4},\"pressure\":{"        \
	"\"cpu_some_us\":1,\"cpu_full_us\":2,\"memory_some_us\":3,\"memory_full_us\":4,"           \
	"\"io_some_us\":5,\"io_full_us\":6},\"disks\":[{\"name\":\"vda\",\"reads\":1,"             \
	"\"read_bytes\":2,\"writes\":3,\"written_bytes\":4,\"busy_ms\":5}],\"network\":[{"         \
	"\"name\":\"lo\",\"received_bytes\":1,\"sent_bytes\":2},{\"name\":\"eth0\","               \
	"\"received_bytes\":3,\"sent_bytes\":18446744073709551615}]}"

/* Each member of each message, at something else than its default, as we write it. */
static const struct {
	const char *name;
	const char *text;
	read_fn *read;
	write_fn *write;
} messages[] = {
	{ "START",
	    "{\"cmd\":[\"sh\",\"-c\",\"exec something that is longer than thirty-two bytes\",\"\"],"
	    "\"env\":{\"A_NAME_THAT_IS_LONGER_THAN_THIRTY_TWO_BYTES\":\"1\",\"B\":\"\","
	    "\"C1\":\"\",\"C2\":\"\",\"C3\":\"\",\"C4\":\"\",\"C5\":\"\",\"C6\":\"\",\"C7\":\"\","
	    "\"C8\":\"\",\"C9\":\"\",\"C10\":\"\",\"C11\":\"\",\"C12\":\"\",\"C13\":\"\"},"
	    "\"working_dir\":\"/w\",\"user\":\"u:g\",\"tty_width\":1,\"tty_height\":65535,"
	    "\"stdin\":false,\"detach\":true,\"report\":true,\"limits\":{\"memory_bytes\":1,"
	    "\"pids\":2,\"cpu_percent\":3,\"nofile\":4,\"core_bytes\":5,\"fsize_bytes\":6}}",
	    start_read, start_write },
	{ "START with the rest",
	    "{\"cmd\":[\"a\\u0001\\n\xc3\xa9\"],\"tty\":true,\"timeout_seconds\":4294967295,"
	    "\"kill_grace_seconds\":9}",
	    start_read, start_write },
	{ "START of a durable session",
	    "{\"cmd\":[\"a\"],\"name\":\"A-z_0.9\",\"durable\":{\"buffer_bytes\":16777216,"
	    "\"keep_seconds\":604800,\"alone_seconds\":4294967295,\"when_full\":\"wait\"}}",
	    start_read, start_write },
	{ "START of one like others", "{\"cmd\":[\"a\"],\"name\":\"a\",\"durable\":{}}", start_read,
	    start_write },
	{ "ATTACH",
	    "{\"session\":18446744073709551615," INSTANCE
	    ",\"from\":18446744073709551615,\"input\":false,\"report\":true}",
	    attach_read, attach_write },
	{ "ATTACH from the first byte", "{\"session\":0,\"from\":0}", attach_read, attach_write },
	{ "ATTACH by name", "{\"name\":\"n\",\"instance\":\"\",\"tail\":0}", attach_read,
	    attach_write },
	{ "FORGET", "{\"session\":1," INSTANCE "}", forget_read, forget_write },
	{ "FORGET by name", "{\"name\":\"n\"}", forget_read, forget_write },
	{ "SHUTDOWN", "{\"action\":\"halt\",\"grace_seconds\":6}", halt_read, halt_write },
	{ "STATUS_REQ", "{\"guest\":true}", look_read, look_write },
	{ "KILL", "{\"session\":18446744073709551615,\"signal\":64}", kill_read, kill_write },
	{ "NET_RECONFIG",
	    "{\"ip\":\"10.0.9.2\",\"netmask\":\"255.255.255.0\",\"gateway\":\"10.0.9.1\"}",
	    net_read, net_write },
	{ "WAIT_PORT", "{\"port\":65535,\"timeout_ms\":1}", wait_read, wait_write },
	{ "CONNECT", "{\"host\":\"127.0.0.2\",\"port\":1}", target_read, target_write },
	{ "CONNECT to a path", "{\"path\":\"/run/a.sock\"}", target_read, target_write },
	{ "RESTORED",
	    "{\"unix_ns\":-9223372036854775808,\"entropy\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\","
	    "\"generation\":18446744073709551615,"
	    "\"hostname\":\"a-name\",\"machine_id\":\"0123456789abcdef0123456789abcdef\","
	    "\"env\":{\"A\":\"1\",\"A_NAME\":\"a value\",\"B\":\"\"},"
	    "\"net\":{\"ip\":\"10.0.9.2\",\"netmask\":\"255.255.255.0\",\"gateway\":\"10.0.9.1\"},"
	    "\"thaw\":false}",
	    restored_read, restored_write },
	{ "STATUS restored",
	    "{\"event\":\"restored\",\"clock_us\":1,\"entropy_us\":2,\"generation_us\":5,"
	    "\"thaw_files_us\":9,\"hold_us\":10,\"hostname_us\":6,\"machine_id_us\":7,\"env_us\":8,"
	    "\"net_us\":3,\"thaw_us\":11,\"total_us\":4,"
	    "\"errors\":[\"net: no\",\"clock: no\"]}",
	    answer_read, answer_write },
	{ "STATUS started", "{\"event\":\"started\",\"pid\":2147483647}", report_read,
	    report_write },
	{ "STATUS started of a durable session",
	    "{\"event\":\"started\",\"pid\":1,\"session\":2,\"name\":\"n\"," INSTANCE "}",
	    report_read, report_write },
	{ "STATUS attached",
	    "{\"event\":\"attached\",\"session\":2,\"name\":\"n\"," INSTANCE
	    ",\"offset\":9223372036854775807,\"lost\":18446744073709551615,"
	    "\"stdin_bytes\":9223372036854775807,\"stdin_open\":true,\"running\":true,"
	    "\"tty\":true,\"columns\":65535,\"rows\":65535}",
	    report_read, report_write },
	{ "STATUS attached, all at their least",
	    "{\"event\":\"attached\",\"session\":2,\"name\":\"n\"," INSTANCE
	    ",\"offset\":0,\"lost\":0,\"stdin_bytes\":0,\"stdin_open\":false,"
	    "\"running\":false,\"tty\":false,\"columns\":0,\"rows\":0}",
	    report_read, report_write },
	{ "STATUS lost", "{\"event\":\"lost\",\"offset\":9223372036854775807,\"lost\":0}",
	    report_read, report_write },
	{ "STATUS input_taken", "{\"event\":\"input_taken\"}", report_read, report_write },
	{ "STATUS detached", "{\"event\":\"detached\",\"offset\":0}", report_read, report_write },
	{ "STATUS detached, not asked for",
	    "{\"event\":\"detached\",\"offset\":7,\"why\":\"no place\"}", report_read,
	    report_write },
	{ "STATUS detached by the supervisor", "{\"event\":\"detached\",\"why\":\"worker lost\"}",
	    report_read, report_write },
	{ "STATUS exited",
	    "{\"event\":\"exited\",\"code\":-1,\"signal\":9,\"reason\":\"oom\",\"wall_ms\":1,"
	    "\"user_ms\":2,\"system_ms\":3,\"max_rss_kb\":4,\"output_held\":true,"
	    "\"memory_peak_bytes\":0,\"oom_kills\":5}",
	    report_read, report_write },
	{ "STATUS",
	    "{\"version\":\"1\",\"protocol\":1," INSTANCE
	    ",\"features\":[\"START\",\"KILL\"],\"pid\":1,"
	    "\"uptime_ms\":2,\"boot_ms\":1.500,\"workers\":{\"configured\":1,\"idle\":2,\"exec\":3,"
	    "\"look\":7,"
	    "\"file\":4,\"control\":5,\"reserved\":6},\"sessions\":{\"started\":1,\"exited\":2,"
	    "\"signaled\":3,\"timeouts\":4,\"oom\":5,\"refused\":6,\"bad_requests\":7,\"stalled\":"
	    "8},"
	    "\"worker_deaths\":{\"total\":3,\"by_signal\":{\"0\":1,\"64\":2},\"last_signal\":64,"
	    "\"last_unix_ms\":-1},\"clock_syncs\":8,\"generation\":0,\"shm_bytes\":9,"
	    "\"max_file_bytes\":10," GUEST ",\"slots\":[{"
	    "\"kind\":\"exec\","
	    "\"session\":7,"
	    "\"pid\":4,\"user\":\"app\",\"command\":\"sleep 1\",\"age_ms\":1,\"bytes_in\":2,"
	    "\"bytes_out\":3,\"name\":\"n\",\"durable\":true,\"attached\":0,\"offset\":0,"
	    "\"running\":false,\"memory_bytes\":0,\"cpu_us\":18446744073709551615},"
	    "{\"kind\":\"ended\",\"session\":7,\"pid\":0,"
	    "\"user\":\"\",\"command\":\"\",\"age_ms\":0,\"bytes_in\":0,\"bytes_out\":0,"
	    "\"name\":\"m\",\"durable\":true,\"attached\":4294967295,"
	    "\"offset\":18446744073709551615,\"running\":true,\"code\":0,\"signal\":0},"
	    "{\"kind\":\"attach\",\"session\":8,\"pid\":0,\"user\":\"\",\"command\":\"\","
	    "\"age_ms\":0,\"bytes_in\":0,\"bytes_out\":0,\"attached_to\":7},"
	    "{\"kind\":\"\",\"session\":0,\"pid\":0,\"user\":\"\","
	    "\"command\":\"\",\"age_ms\":0,\"bytes_in\":0,\"bytes_out\":0}]}",
	    status_read, status_write },
	{ "WRITE", "{\"path\":\"/p\",\"mode\":1," OWNER ",\"fsync\":true,\"user\":\"u\"}",
	    file_write_read, file_write_write },
	{ "READ", "{\"path\":\"/p\",\"offset\":1,\"length\":2,\"user\":\"u\"}", file_read_read,
	    file_read_write },
	{ "STAT", "{\"path\":\"/p\",\"user\":\"u\"}", file_stat_read, file_stat_write },
	{ "LIST", "{\"path\":\"/p\",\"user\":\"u\"}", file_list_read, file_list_write },
	{ "MKDIR", "{\"path\":\"/p\",\"mode\":4294967295," OWNER ",\"user\":\"u\"}",
	    file_mkdir_read, file_mkdir_write },
	{ "REMOVE", "{\"path\":\"/p\",\"recursive\":true,\"user\":\"u\"}", file_remove_read,
	    file_remove_write },
	{ "MOVE", "{\"from\":\"/p\",\"to\":\"/t\",\"user\":\"u\"}", file_move_read,
	    file_move_write },
	{ "WATCH", "{\"path\":\"/p\",\"recursive\":true,\"gaps\":true,\"user\":\"u\"}",
	    file_watch_read, file_watch_write },
	{ "LINK", "{\"from\":\"/p\",\"to\":\"/t\",\"user\":\"u\"}", file_link_read,
	    file_link_write },
	{ "SYMLINK", "{\"path\":\"/p\",\"target\":\"t\",\"user\":\"u\"}", file_symlink_read,
	    file_symlink_write },
	{ "SET", "{\"path\":\"/p\",\"mode\":0," OWNER ",\"user\":\"u\"}", file_set_read,
	    file_set_write },
	{ "SET of nothing", "{\"path\":\"/p\"}", file_set_read, file_set_write },
	{ "TREE", "{\"path\":\"/p\",\"one_file_system\":false,\"max_entries\":7,\"user\":\"u\"}",
	    file_tree_read, file_tree_write },
	{ "TREE of all", "{\"path\":\"/p\"}", file_tree_read, file_tree_write },
	{ "entry of a tree",
	    "{\"path\":\"\xef\xbf\xbd\",\"path_b64\":\"/w==\",\"kind\":\"symlink\",\"size\":0,"
	    "\"mode\":511,\"mtime_secs\":1,\"mtime_nanos\":2,\"uid\":3,\"gid\":4,"
	    "\"symlink_target\":\"\xef\xbf\xbd\",\"symlink_target_b64\":\"/g==\",\"dev\":5,"
	    "\"ino\":18446744073709551615,\"nlink\":7}",
	    tree_entry_read, tree_entry_write },
	{ "hole of a tree", "{\"hole\":1048576}", tree_entry_read, tree_entry_write },
	{ "error of a tree",
	    "{\"path\":\"a\xef\xbf\xbd\",\"path_b64\":\"Yf8=\",\"error\":\"EACCES\"}",
	    tree_entry_read, tree_entry_write },
	{ "FILE_STAT", ENTRY, entry_read, entry_write },
	{ "FILE_STAT of a device",
	    "{\"name\":\"a name of some length, which does not fit into thirty-two bytes\","
	    "\"kind\":\"other\",\"type\":\"char\",\"size\":0,\"mode\":4095,\"mtime_secs\":-5,"
	    "\"mtime_nanos\":9,\"uid\":42,\"gid\":7,\"symlink_target\":\"\"}",
	    entry_read, entry_write },
	{ "FILE_LIST", "[" ENTRY "," ENTRY "," ENTRY "]", listing_read, listing_write },
	{ "FILE_EVENT unwatched",
	    "{\"kind\":\"unwatched\",\"path\":\"/a\",\"renamed_to\":\"\",\"error\":\"EIO\"}",
	    event_read, event_write },
	{ "FILE_EVENT", "{\"kind\":\"renamed\",\"path\":\"/a\",\"renamed_to\":\"/b\"}", event_read,
	    event_write },
};

#define MESSAGES (sizeof(messages) / sizeof(messages[0]))

static void
test_every_message_is_read_as_it_is_written(void **state)
{
	(void)state;
	for (size_t i = 0; i < MESSAGES; i++) {
		size_t len = strlen(messages[i].text);
		char *seen = NULL;
		char *made;

		print_message("%s\n", messages[i].name);
		assert_int_equal(messages[i].read(messages[i].text, len, &seen), 0);
		assert_string_equal(seen, messages[i].text);
		made = messages[i].write(messages[i].text, len, 0, false);
		assert_string_equal(made, messages[i].text);
		free(seen);
		free(made);
	}
}

/* ---- what is written is read as the same -------------------------------- */

static uint64_t random_state = 1;

/* Less than MOST; the same in each run. */
static uint64_t
random_below(uint64_t most)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (random_state >> 33) % most;
}

/* Any number of bits. */
static uint64_t
random_number(void)
{
	return (random_below(1u << 31) << 33 | random_below(1u << 31)) >> random_below(64);
}

static const char *
random_text(void)
{
	static const char *const pieces[] = { "a", "\"", "\\", "/", "\n", "\x01", "\x7f",
		"\xc3\xa9", "\xf0\x9f\x98\x80", "{", "}", "[", "]", ":", ",", "'", "0", " " };
	static char texts[64][64];
	static size_t next;
	char *text = texts[next++ % 64];

	text[0] = '\0';
	for (uint64_t i = random_below(12); i > 0; i--)
		(void)strlcat(text, pieces[random_below(sizeof(pieces) / sizeof(pieces[0]))],
		    sizeof(texts[0]));
	return text;
}

static char *
random_start(size_t *ret_len)
{
	const char *argv[9] = { "program" };
	struct start_env env[8];
	struct start_request request = {
		.argv = argv,
		.argc = 1 + random_below(8),
		.env = env,
		.env_count = random_below(8),
		.working_dir = random_text(),
		.user = random_text(),
		.tty_width = (uint16_t)random_number(),
		.tty_height = (uint16_t)random_number(),
		.timeout_seconds = (uint32_t)random_number(),
		.stdin_open = random_below(2) == 0,
		.report = random_below(2) == 0,
		.limits = { .have = (uint8_t)random_below(1 << START_LIMIT_COUNT) },
	};
	char names[8][32];

	for (size_t i = 1; i < request.argc; i++)
		argv[i] = random_text();
	for (size_t i = 0; i < request.env_count; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "V%zu'", i);
		env[i] = (struct start_env){ names[i], random_text() };
	}
	for (int i = 0; i < START_LIMIT_COUNT; i++)
		request.limits.value[i] = random_number() | VMM_GUEST_NOFILE_MIN;
	request.limits.value[START_LIMIT_CPU_PERCENT] &= UINT32_MAX;
	return start_format(&request, ret_len);
}

static void
test_any_request_is_read_as_it_was_written(void **state)
{
	(void)state;
	for (int i = 0; i < 2000; i++) {
		size_t len = 0;
		char *text = random_start(&len);
		char *seen = NULL;

		assert_non_null(text);
		assert_int_equal(start_read(text, len, &seen), 0);
		assert_string_equal(seen, text);
		free(seen);
		free(text);
	}
}

/* ---- messages without memory -------------------------------------------- */

static size_t refused;

/* Reads message I with allocation FAIL_AT failed. Returns whether that came to pass. */
static bool
read_without_memory(size_t i, size_t fail_at, bool goes_on)
{
	char *seen = NULL;
	size_t lost;
	int r;

	memory_watch(fail_at, goes_on);
	r = messages[i].read(messages[i].text, strlen(messages[i].text), &seen);
	lost = memory.failed > 0 ? memory_count_ours() : memory.live;
	memory_free_forgotten();
	if (r < 0)
		assert_int_equal(r, -ENOMEM);
	else if (strcmp(seen, messages[i].text) != 0)
		fail_msg(
		    "%s: allocation %zu failed: understood as %s", messages[i].name, fail_at, seen);
	/* There are some that json-c can do without. */
	assert_true(r == 0 || memory.failed > 0);
	if (lost > 0)
		fail_msg("%s: allocation %zu failed: %zu blocks are lost", messages[i].name,
		    fail_at, lost);
	refused += r < 0;
	free(seen);
	return memory.failed > 0;
}

static void
test_where_an_allocation_fails_a_message_is_refused_and_not_understood_in_part(void **state)
{
	(void)state;
	for (size_t i = 0; i < MESSAGES; i++) {
		size_t failed = 1;

		while (
		    read_without_memory(i, failed, false) && read_without_memory(i, failed, true))
			failed++;
		assert_true(failed > 4);
	}
}

/* What no message of ours holds, but a host may send. */
static void
test_where_an_allocation_fails_no_object_is_understood_in_part(void **state)
{
	static const char *const texts[] = {
		"{\"a\":[{\"b\":1},2,{\"c\":{\"d\":3}},4,[5],6,\"e\",7,true,\"f\",null]}",
		"{\"a\":{\"b\":{\"c\":{\"d\":\"e\"},\"f\":1},\"g\":2},\"h\":{},\"i\":[],\"j\":-1}",
		"{\"a\":-1e5}",
		"{\"a\":1,\"a\":\"x\",\"a\":{\"a\":[],\"a\":2},\"a\":[{\"a\":3,\"a\":4},5]}",
		"{\"a\\n\\u00e9\\ud83d\\ude00 and so on, up to more than 32 bytes\":0,\"b\":1}",
		"{\"a\":[\"a\\n\\u00e9\\ud83d\\ude00 and so on, up to more than 32 bytes\",2]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct json_object *CLEANUP_JSON whole = NULL;
		struct json_error error;

		assert_int_equal(json_parse_object(texts[i], strlen(texts[i]), &whole, &error), 0);
		memory.failed = 1;
		for (size_t fail_at = 1; memory.failed > 0; fail_at++) {
			struct json_object *CLEANUP_JSON object = NULL;
			int r;

			memory_watch(fail_at, false);
			r = json_parse_object(texts[i], strlen(texts[i]), &object, &error);
			memory.watches = false;
			if (r < 0)
				memory_free_forgotten();
			assert_true(r == 0 || r == -ENOMEM);
			if (r == 0 && !json_object_equal(object, whole))
				fail_msg("%s: allocation %zu failed: understood as %s", texts[i],
				    fail_at, json_object_to_json_string(object));
		}
	}
}

static bool
write_without_memory(size_t i, size_t fail_at, bool goes_on)
{
	const char *text = messages[i].text;
	char *made = messages[i].write(text, strlen(text), fail_at, goes_on);

	if (memory.failed > 0 && made != NULL)
		fail_msg("%s: allocation %zu failed: %s", messages[i].name, fail_at, made);
	if (memory.failed == 0)
		assert_string_equal(made, text);
	assert_int_equal(memory.live, memory.failed > 0 ? 0 : 1);
	free(made);
	return memory.failed > 0;
}

static void
test_where_an_allocation_fails_a_message_is_not_written_in_part(void **state)
{
	(void)state;
	for (size_t i = 0; i < MESSAGES; i++) {
		size_t failed = 1;

		while (
		    write_without_memory(i, failed, false) && write_without_memory(i, failed, true))
			failed++;
		assert_true(failed > 4);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_message_is_read_as_it_is_written),
		cmocka_unit_test(test_any_request_is_read_as_it_was_written),
		cmocka_unit_test(
		    test_where_an_allocation_fails_a_message_is_refused_and_not_understood_in_part),
		cmocka_unit_test(test_where_an_allocation_fails_no_object_is_understood_in_part),
		cmocka_unit_test(test_where_an_allocation_fails_a_message_is_not_written_in_part),
	};

	memory_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
