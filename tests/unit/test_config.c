/*
 * What the operator set, from argv and the kernel command line.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "agent/config.h"
#include "agent/config_table.h"
#include "platform/log.h"
#include "supervisor/shutdown.h"

#define ARGS_MAX 16

static struct config config;
static char complaints[4096];
static int complaints_count;

static void
complain(const char *text)
{
	(void)strlcat(complaints, text, sizeof(complaints));
	(void)strlcat(complaints, "\n", sizeof(complaints));
	complaints_count++;
}

static int
setup(void **state)
{
	(void)state;
	config_init(&config);
	complaints[0] = '\0';
	complaints_count = 0;
	return 0;
}

/* Reads ARGS, NULL at the end, behind a program's name. */
static int
read_argv(const char *const *args)
{
	static char texts[ARGS_MAX][512];
	char *argv[ARGS_MAX + 1];
	int argc = 0;

	(void)strlcpy(texts[0], "agent", sizeof(texts[0]));
	argv[argc] = texts[argc];
	for (argc++; *args != NULL; args++, argc++) {
		(void)strlcpy(texts[argc], *args, sizeof(texts[0]));
		argv[argc] = texts[argc];
	}
	argv[argc] = NULL;
	return config_read_argv(&config, argc, argv, complain);
}

#define READ_ARGV(...) read_argv((const char *const[]){ __VA_ARGS__, NULL })

static void
read_kernel(const char *line)
{
	config_read_kernel(&config, line, complain);
}

static void
assert_complaint(const char *word)
{
	if (strstr(complaints, word) == NULL)
		fail_msg("'%s' does not say '%s'", complaints, word);
}

static void
test_what_is_not_set_has_its_default(void **state)
{
	(void)state;
	assert_int_equal(config.workers, 0);
	assert_int_equal(config.reserved, 2);
	assert_int_equal(config.recycle, 1000);
	assert_int_equal(config.listen.kind, ADDRESS_VSOCK);
	assert_int_equal(config.exec_port, 52);
	assert_int_equal(config.file_port, 53);
	assert_int_equal(config.ready_port, 51);
	assert_int_equal(config.any_peer, 0);
	assert_int_equal(config.max_file_mib, 256);
	assert_int_equal(config.first_frame_timeout, 30);
	assert_int_equal(config.stall_timeout, 60);
	assert_int_equal(config.journals_mib, 512);
	assert_int_equal(config.log, LOG_LEVEL_INFO);
	assert_int_equal(config.log_to, LOG_TARGET_STDERR);
	assert_int_equal(config.on_exit, SHUTDOWN_AUTO);
	assert_int_equal(config.on_shutdown, 0);
	assert_string_equal(config.hostname, "");
	assert_string_equal(config.dns, "");
	assert_int_equal(config.cgroup, 1);
	assert_int_equal(config.boot, 0);
	assert_int_equal(config.once, 0);
	assert_string_equal(config.kernel_ip, "");
}

static void
test_every_default_of_the_table_is_one_that_may_be_set(void **state)
{
	char word[512];

	(void)state;
	for (size_t i = 0; i < config_table_len; i++) {
		const struct config_option *option = &config_table[i];

		if (option->kind == CONFIG_FLAG)
			continue;
		(void)snprintf(
		    word, sizeof(word), "vmm_agent.%s=%s", option->name, option->initial);
		read_kernel(word);
	}
	assert_string_equal(complaints, "");
}

static void
test_options_of_argv_are_taken_in_both_forms(void **state)
{
	(void)state;
	assert_int_equal(READ_ARGV("--workers=8", "--max-file-mib", "17",
			     "--listen=unix:/run/a.sock", "--boot", "--peer=any", "--log=debug",
			     "--log-to=kmsg", "--on-exit=halt", "--on-shutdown=guest",
			     "--hostname=sandbox", "--dns=1.1.1.1,9.9.9.9", "--cgroup=off"),
	    0);
	assert_string_equal(complaints, "");
	assert_int_equal(config.workers, 8);
	assert_int_equal(config.max_file_mib, 17);
	assert_int_equal(config.listen.kind, ADDRESS_UNIX);
	assert_string_equal(config.listen.path, "/run/a.sock");
	assert_int_equal(config.boot, 1);
	assert_int_equal(config.once, 0);
	assert_int_equal(config.any_peer, 1);
	assert_int_equal(config.log, LOG_LEVEL_DEBUG);
	assert_int_equal(config.log_to, LOG_TARGET_KMSG);
	assert_int_equal(config.on_exit, SHUTDOWN_HALT);
	assert_int_equal(config.on_shutdown, 1);
	assert_string_equal(config.hostname, "sandbox");
	assert_string_equal(config.dns, "1.1.1.1,9.9.9.9");
	assert_int_equal(config.cgroup, 0);
}

static void
test_the_last_of_two_wins(void **state)
{
	(void)state;
	assert_int_equal(READ_ARGV("--workers=8", "--workers=9"), 0);
	assert_int_equal(config.workers, 9);
	read_kernel("vmm_agent.workers=10 vmm_agent.workers=11");
	assert_int_equal(config.workers, 11);
}

static void
test_ranges_are_held(void **state)
{
	const char *const bad[] = { "--workers=1025", "--workers=-1", "--workers=", "--workers=8x",
		"--workers= 8x", "--workers=4294967296", "--reserved=1024", "--exec-port=0",
		"--exec-port=4294967295", "--max-file-mib=0", "--first-frame-timeout=0",
		"--stall-timeout=86401", "--journals-mib=513", "--log=loud",
		"--log=", "--peer=HOST", "--listen=tcp:1", "--listen=unix:", "--cgroup=1",
		"--notify=vsock:2", "--notify=1:2" };
	struct config before = config;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		complaints[0] = '\0';
		assert_int_equal(READ_ARGV(bad[i]), 1);
		assert_complaint(bad[i]);
		assert_memory_equal(&config, &before, sizeof(config));
	}
	assert_int_equal(READ_ARGV("--workers=1024", "--exec-port=1", "--ready-port=0"), 0);
	assert_int_equal(config.workers, 1024);
}

static void
test_an_error_says_what_would_be_right(void **state)
{
	(void)state;
	(void)READ_ARGV("--workers=x", "--log=x", "--listen=x");
	assert_complaint("a number from 0 to 1024");
	assert_complaint("error info debug");
	assert_complaint("vsock or unix:PATH");
}

static void
test_all_that_is_wrong_is_counted_and_the_rest_is_taken(void **state)
{
	(void)state;
	assert_int_equal(
	    READ_ARGV("--bogus", "--workers=5", "-x", "word", "--boot=1", "--recycle=7", "--dns"),
	    5);
	assert_int_equal(complaints_count, 5);
	assert_int_equal(config.workers, 5);
	assert_int_equal(config.recycle, 7);
	assert_complaint("--bogus: no such option");
	assert_complaint("-x: no such option");
	assert_complaint("word: not an option");
	assert_complaint("--dns: a value is needed");
}

static void
test_short_options_in_a_row_are_complained_of_as_they_stand(void **state)
{
	(void)state;
	assert_int_equal(READ_ARGV("--workers=8", "-xyz"), 3);
	assert_complaint("-x: no such option");
	assert_complaint("-y: no such option");
	assert_complaint("-z: no such option");
	assert_null(strstr(complaints, "workers"));
}

static void
test_argv_may_be_read_twice(void **state)
{
	(void)state;
	assert_int_equal(READ_ARGV("--workers=8", "x", "--reserved=1"), 1);
	assert_int_equal(READ_ARGV("--recycle=3"), 0);
	assert_int_equal(config.workers, 8);
	assert_int_equal(config.reserved, 1);
	assert_int_equal(config.recycle, 3);
}

static void
test_the_kernel_command_line_has_ours_among_others(void **state)
{
	(void)state;
	read_kernel("console=ttyS0 root=/dev/vda rw vmm_agent.workers=8 quiet "
		    "vmm_agent.max_file_mib=3 vmm_agent.first-frame-timeout=4 init=/sbin/agent\n");
	assert_string_equal(complaints, "");
	assert_int_equal(config.workers, 8);
	assert_int_equal(config.max_file_mib, 3);
	assert_int_equal(config.first_frame_timeout, 4);
}

static void
test_the_kernels_quoting_is_understood(void **state)
{
	(void)state;
	read_kernel("vmm_agent.listen=\"unix:/run/a b.sock\" \"vmm_agent.hostname=two words\"");
	assert_string_equal(complaints, "");
	assert_string_equal(config.listen.path, "/run/a b.sock");
	assert_string_equal(config.hostname, "two words");
}

static void
test_the_command_line_wins_over_the_kernels(void **state)
{
	(void)state;
	read_kernel("vmm_agent.workers=8 vmm_agent.recycle=9");
	assert_int_equal(READ_ARGV("--workers=4"), 0);
	assert_int_equal(config.workers, 4);
	assert_int_equal(config.recycle, 9);
}

static void
test_what_the_kernels_line_has_wrong_is_told_and_left_alone(void **state)
{
	struct config before = config;

	(void)state;
	read_kernel("vmm_agent.workers=many vmm_agent.bogus=1 vmm_agent.workers vmm_agent. "
		    "vmm_agent.=1 vmm_agent.log=loud vmm_agent.boot=1 vmm_agent.help");
	assert_memory_equal(&config, &before, sizeof(config));
	assert_int_equal(complaints_count, 8);
	assert_complaint("vmm_agent.workers=many: a number");
	assert_complaint("vmm_agent.bogus: no such option");
	assert_complaint("vmm_agent.workers: a value is needed");
	assert_complaint("vmm_agent.log=loud: one of these");
	/* These are for a hand at the command line alone. */
	assert_complaint("vmm_agent.boot: no such option");
}

static void
test_words_that_only_look_like_ours_are_left_alone(void **state)
{
	struct config before = config;

	(void)state;
	read_kernel("vmm_agent=1 vmm_agentx.workers=3 xvmm_agent.workers=3 workers=3 "
		    "-- vmm_agent.workers=3");
	assert_memory_equal(&config, &before, sizeof(config));
	assert_string_equal(complaints, "");
}

static void
test_a_text_that_is_too_long_is_refused_in_words(void **state)
{
	char line[2 * CONFIG_TEXT_MAX] = "vmm_agent.hostname=";
	const size_t name_len = strlen(line);

	(void)state;
	memset(line + name_len, 'd', CONFIG_TEXT_MAX);
	line[name_len + CONFIG_TEXT_MAX] = '\0';
	read_kernel(line);
	assert_int_equal(complaints_count, 1);
	assert_complaint("longer than 255 bytes");
	assert_string_equal(config.hostname, "");
	line[name_len + CONFIG_TEXT_MAX - 1] = '\0';
	read_kernel(line);
	assert_int_equal(complaints_count, 1);
	assert_int_equal(strlen(config.hostname), CONFIG_TEXT_MAX - 1);
}

static void
test_name_servers_that_are_none_are_refused_in_words(void **state)
{
	(void)state;
	read_kernel("vmm_agent.dns=1.1.1.1 vmm_agent.dns=nonsense");
	assert_int_equal(complaints_count, 1);
	assert_complaint("off, gateway, or addresses");
	assert_string_equal(config.dns, "1.1.1.1");
}

static void
test_one_port_for_both_services_is_refused_in_words(void **state)
{
	(void)state;
	read_kernel("vmm_agent.file_port=77");
	assert_int_equal(READ_ARGV("--exec-port=77"), 1);
	assert_complaint("exec_port and file_port are both 77");
	assert_int_equal(config.exec_port, 52);
	assert_int_equal(config.file_port, 53);
}

static void
test_the_kernels_own_ip_is_kept(void **state)
{
	(void)state;
	read_kernel("ip=10.0.0.2::10.0.0.1:255.255.255.0:sandbox:eth0:off quiet");
	assert_string_equal(config.kernel_ip, "10.0.0.2::10.0.0.1:255.255.255.0:sandbox:eth0:off");
}

static void
test_nothing_a_kernels_line_may_hold_breaks_us(void **state)
{
	static char line[70000];

	(void)state;
	for (size_t i = 0; i + 20 < sizeof(line); i += 20)
		memcpy(line + i, "vmm_agent.\"workers=9 ", 20);
	read_kernel(line);
	memset(line, '"', sizeof(line) - 1);
	read_kernel(line);
	read_kernel("");
	read_kernel("\n");
	assert_int_equal(config.workers, 0);
}

#define EACH(function) cmocka_unit_test_setup(function, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_what_is_not_set_has_its_default),
		EACH(test_every_default_of_the_table_is_one_that_may_be_set),
		EACH(test_options_of_argv_are_taken_in_both_forms),
		EACH(test_the_last_of_two_wins),
		EACH(test_ranges_are_held),
		EACH(test_an_error_says_what_would_be_right),
		EACH(test_all_that_is_wrong_is_counted_and_the_rest_is_taken),
		EACH(test_short_options_in_a_row_are_complained_of_as_they_stand),
		EACH(test_argv_may_be_read_twice),
		EACH(test_the_kernel_command_line_has_ours_among_others),
		EACH(test_the_kernels_quoting_is_understood),
		EACH(test_the_command_line_wins_over_the_kernels),
		EACH(test_what_the_kernels_line_has_wrong_is_told_and_left_alone),
		EACH(test_words_that_only_look_like_ours_are_left_alone),
		EACH(test_a_text_that_is_too_long_is_refused_in_words),
		EACH(test_name_servers_that_are_none_are_refused_in_words),
		EACH(test_one_port_for_both_services_is_refused_in_words),
		EACH(test_the_kernels_own_ip_is_kept),
		EACH(test_nothing_a_kernels_line_may_hold_breaks_us),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
