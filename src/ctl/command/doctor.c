/*
 * doctor: "vmm-guest-ctl doctor": what is missing or odd in a guest, or in a kernel's
 * configuration, and what to do.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/doctor/check.h"
#include "ctl/doctor/gunzip.h"
#include "ctl/doctor/kernel_config.h"
#include "ctl/target.h"
#include "platform/fd.h"

/* For all questions together, however long the guest takes for each. */
#define DOCTOR_TIMEOUT_MS 60000

static const char *doctor_config;
static bool doctor_as_json;
static bool doctor_is_quiet;

static unsigned doctor_counts[DIAGNOSIS_COUNT];

static const struct options_row doctor_options[] = {
	OPTIONS_TEXT("kernel-config", 0, "FILE", &doctor_config,
	    "look at a kernel's .config on this host, which may be packed by gzip; no guest is "
	    "asked"),
	OPTIONS_FLAG("quiet", 'q', &doctor_is_quiet, "leave out what is as it should be"),
	OPTIONS_FLAG("json", 0, &doctor_as_json,
	    "each finding as JSON, one a line: check, verdict, seen, to_do"),
	OPTIONS_END,
};

/* ---- what is shown -------------------------------------------------------- */

static int
doctor_show_json(const struct finding *finding)
{
	const struct diagnosis_entry entry = { .check = finding->name,
		.verdict = finding->verdict,
		.seen = finding->seen,
		.to_do = finding->to_do != NULL ? finding->to_do : "" };
	size_t len;
	char *json = diagnosis_format(&entry, &len);

	return command_print_message(json, len);
}

static int
doctor_show(const struct finding *finding)
{
	doctor_counts[finding->verdict]++;
	if (doctor_is_quiet && finding->verdict == DIAGNOSIS_OK)
		return 0;
	if (doctor_as_json)
		return doctor_show_json(finding);
	(void)printf("%-8s %-14s ", diagnosis_words[finding->verdict], finding->name);
	command_put(finding->seen);
	if (finding->to_do != NULL)
		(void)printf(". To do: %s", finding->to_do);
	(void)putchar('\n');
	return 0;
}

/* What it all comes to, as the exit status too. */
static int
doctor_sum_up(void)
{
	if (!doctor_as_json && !doctor_is_quiet)
		(void)printf("\n%u wrong, %u odd, %u unknown, %u ok\n",
		    doctor_counts[DIAGNOSIS_WRONG], doctor_counts[DIAGNOSIS_ODD],
		    doctor_counts[DIAGNOSIS_UNKNOWN], doctor_counts[DIAGNOSIS_OK]);
	return doctor_counts[DIAGNOSIS_WRONG] > 0 ? COMMAND_FAILED : 0;
}

/* ---- a kernel's configuration --------------------------------------------- */

/* A line for each option that is not as it should be, and one for all others. */
static int
doctor_judge_config(const char *text, const char *modules, const char *path)
{
	struct finding finding = { .name = KERNEL_CONFIG_CHECK };
	unsigned fine = 0;
	int status = 0;

	for (unsigned i = 0; status == 0 && i < kernel_config_count; i++) {
		if (!kernel_config_judge(&kernel_config_options[i], text, modules, &finding))
			continue;
		if (finding.verdict == DIAGNOSIS_OK)
			fine++;
		else
			status = doctor_show(&finding);
	}
	finding_set(&finding, DIAGNOSIS_OK, NULL, "%u options that the agent wants are in %.200s",
	    fine, path);
	return status == 0 ? doctor_show(&finding) : status;
}

static int
doctor_read_config(const char *path, char **ret)
{
	int CLEANUP_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *text = fd >= 0 ? malloc(GUNZIP_MAX + 1) : NULL;
	char *unpacked = NULL;
	size_t unpacked_len;
	ssize_t n;
	int r;

	if (text == NULL)
		return fd >= 0 ? -ENOMEM : -errno;
	n = fd_read_full(fd, text, GUNZIP_MAX + 1);
	r = n < 0 ? (int)n : n > (ssize_t)GUNZIP_MAX ? -EFBIG : 0;
	if (r == 0 && gunzip_is_packed(text, (size_t)n)) {
		r = gunzip(text, (size_t)n, &unpacked, &unpacked_len);
		free(text);
		text = unpacked;
	} else if (r == 0) {
		text[n] = '\0';
	}
	if (r < 0) {
		free(text);
		return r;
	}
	*ret = text;
	return 0;
}

static const char *
doctor_why(int error)
{
	switch (-error) {
	case ENOEXEC:
		return "there is no gzip on this host to unpack it by";
	case EBADMSG:
		return "gzip can't unpack it";
	case EFBIG:
		return "it is too long to be a kernel's configuration";
	default:
		return strerror(-error);
	}
}

static int
doctor_run_config(void)
{
	char *text = NULL;
	int r = doctor_read_config(doctor_config, &text);
	int status;

	if (r < 0)
		return command_fail("%s: %s", doctor_config, doctor_why(r));
	if (kernel_config_is_one(text))
		status = doctor_judge_config(text, NULL, doctor_config);
	else
		status = command_fail(
		    "%s is not a kernel's configuration: it sets no CONFIG_ option", doctor_config);
	free(text);
	return status != 0 ? status : doctor_sum_up();
}

/* ---- a guest -------------------------------------------------------------- */

static int
doctor_judge_guest_config(const struct facts *facts)
{
	const struct facts_text *file = &facts->files[FACTS_CONFIG];
	struct finding finding = { .name = KERNEL_CONFIG_CHECK };

	if (file->text != NULL && kernel_config_is_one(file->text))
		return doctor_judge_config(
		    file->text, facts->files[FACTS_MODULES].text, file->path);
	if (file->error == -ENOENT)
		finding_set(&finding, DIAGNOSIS_UNKNOWN,
		    "vmm-guest-ctl doctor --kernel-config FILE, on the host that has it",
		    "the guest has neither /proc/config.gz nor the configuration in /boot");
	else
		finding_set(&finding, DIAGNOSIS_UNKNOWN, NULL, "%.200s can't be read: %s",
		    file->path, file->text != NULL ? "it sets no option" : doctor_why(file->error));
	return doctor_show(&finding);
}

static int
doctor_run_guest(void)
{
	struct facts CLEANUP_FACTS facts = { 0 };
	struct client_error error = { "" };
	int status = 0;

	if (facts_ask(target_agent(), DOCTOR_TIMEOUT_MS, &facts, &error) < 0)
		return command_fail("%s", error.text);
	for (unsigned i = 0; status == 0 && i < check_count; i++) {
		struct finding finding;

		check_run(&check_table[i], &facts, &finding);
		status = doctor_show(&finding);
	}
	if (status == 0)
		status = doctor_judge_guest_config(&facts);
	return status != 0 ? status : doctor_sum_up();
}

static int
doctor_run(int count, char **operands)
{
	(void)count;
	(void)operands;
	return doctor_config != NULL ? doctor_run_config() : doctor_run_guest();
}

const struct command doctor_command = {
	.name = "doctor",
	.summary = "say what is missing or odd in the guest",
	.usage = "[-q] [--json] [--kernel-config FILE]",
	.about =
	    "Looks at the guest and says what is missing or odd in it, a line each, with what\n"
	    "to do: the agent, the kernel and its options, vsock, cgroups, clock, entropy,\n"
	    "memory, disk, processes, terminals, names. It only reads: no module is loaded,\n"
	    "nothing is frozen, no program is run in the guest.\n"
	    "\n"
	    "  ok       as it should be\n"
	    "  odd      it works, but for what is said\n"
	    "  wrong    something that hosts rely on does not work\n"
	    "  unknown  it can't be seen, perhaps as the agent is too old\n",
	.more = "\nWhat gzip has packed (/proc/config.gz) is unpacked by this host's gzip.\n"
		"\nExit status: 0 if nothing is wrong; 1 if something is, or the agent does not\n"
		"answer.\n",
	.options = doctor_options,
	.run = doctor_run,
};
