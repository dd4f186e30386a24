/*
 * bench: how near the agent comes to what the kernel alone would take.
 *
 *     bench [--json] [--quick] [--only=PART] [--agent=PROGRAM | --address=ADDRESS]
 *           [--client=PROGRAM]
 *
 * Everything is measured beside its floor, in turn, so that only the ratio is to
 * be compared between machines. With an ADDRESS (an agent that stands on this
 * same machine, with 64 workers) what needs a start of its own is left out.
 * PART is sessions, library, streams, durable, files, trees, silent, cpu, start or worker; --quick
 * is a tenth of the rounds.
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "measure.h"
#include "report.h"
#include "sample.h"

#define BENCH_WORKERS 64

struct bench_options {
	bool json;
	const char *agent;
	const char *client;
	const char *address;
	const char *only; /* NULL: all parts */
};

static bool
bench_is_part(const char *name)
{
	static const char *const parts[] = { "sessions", "library", "streams", "durable", "files",
		"trees", "silent", "cpu", "start", "worker" };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (strcmp(parts[i], name) == 0)
			return true;
	}
	return false;
}

static bool
bench_wants(const struct bench_options *options, const char *part)
{
	return options->only == NULL || strcmp(options->only, part) == 0;
}

static void
bench_parse(int argc, char **argv, struct bench_options *ret)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "agent", required_argument, NULL, 'a' },
		{ "address", required_argument, NULL, 'A' },
		{ "client", required_argument, NULL, 'c' },
		{ "only", required_argument, NULL, 'o' },
		{ "quick", no_argument, NULL, 'q' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	*ret = (struct bench_options){ .agent = "./vmm-guest-agent", .client = "./vmm-guest-ctl" };
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'j')
			ret->json = true;
		else if (option == 'q')
			sample_hurry();
		else if (option == 'a')
			ret->agent = optarg;
		else if (option == 'A')
			ret->address = optarg;
		else if (option == 'c')
			ret->client = optarg;
		else if (option == 'o' && bench_is_part(optarg))
			ret->only = optarg;
		else
			errx(2,
			    "usage: bench [--json] [--quick] "
			    "[--only=sessions|library|streams|durable|files|trees|silent|cpu|start|"
			    "worker]"
			    " [--agent=PROGRAM | --address=ADDRESS] [--client=PROGRAM]");
	}
}

/* A folder in memory, so that no disk is measured. */
static void
bench_make_folder(char *folder)
{
	struct statfs status;

	if (mkdtemp(folder) == NULL)
		err(1, "%s", folder);
	if (statfs(folder, &status) < 0 || status.f_type != TMPFS_MAGIC)
		warnx("%s is no tmpfs: the figures of files are the disk's", folder);
}

static void
bench_remove_folder(const char *folder)
{
	static const char *const names[] = { "file", "floor", "agent" };
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(folder);
}

int
main(int argc, char **argv)
{
	char folder[] = "/dev/shm/vmm-guest-bench.XXXXXX";
	struct bench_options options;
	struct target target;

	bench_parse(argc, argv, &options);
	bench_make_folder(folder);
	report_begin(options.json);
	if (options.address != NULL)
		target_find(&target, options.address);
	else
		(void)target_start(&target, options.agent, folder, BENCH_WORKERS);
	if (bench_wants(&options, "sessions"))
		measure_sessions(&target, folder);
	if (bench_wants(&options, "library"))
		measure_library(&target);
	if (bench_wants(&options, "streams"))
		measure_streams(&target);
	if (bench_wants(&options, "durable"))
		measure_durable(&target);
	if (bench_wants(&options, "files"))
		measure_files(&target, folder);
	if (bench_wants(&options, "trees"))
		measure_trees(&target, options.client, folder);
	if (bench_wants(&options, "silent"))
		measure_silent(&target);
	if (options.address == NULL) {
		if (options.only == NULL)
			measure_memory(&target);
		target_stop(&target);
		if (bench_wants(&options, "cpu"))
			measure_cpu(options.agent, folder);
		if (bench_wants(&options, "start"))
			measure_start(options.agent, folder);
		if (bench_wants(&options, "worker"))
			measure_worker(options.agent, folder);
	}
	report_end();
	bench_remove_folder(folder);
	return 0;
}
