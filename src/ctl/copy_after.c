/*
 * copy_after: links and times in the guest.
 */
#include "ctl/copy_after.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/control.h"
#include "ctl/copy.h"
#include "protocol/start.h"

#define COPY_AFTER_WORDS 3 /* a step */

/* Steps for one shell: well below the longest START and the kernel's ARG_MAX. */
#define COPY_AFTER_STEPS_MAX 500
#define COPY_AFTER_BYTES_MAX (128 * 1024)

static const char copy_after_script[] =
    "status=0\n"
    "while [ $# -gt 0 ]; do\n"
    "	case $1 in\n"
    "	link)\n"
    "		if [ -d \"$3\" ] && [ ! -L \"$3\" ]; then\n"
    "			echo \"$3: a directory is in the way of a link\" >&2\n"
    "			status=1\n"
    "		else\n"
    "			rm -f -- \"$3\" && ln -s -- \"$2\" \"$3\" || status=1\n"
    "		fi ;;\n"
    "	time)\n"
    /* Not every touch takes a fraction. */
    "		touch -c -d \"@$2\" -- \"$3\" 2>/dev/null ||\n"
    "			touch -c -d \"@${2%.*}\" -- \"$3\" || status=1 ;;\n"
    "	esac\n"
    "	shift 3\n"
    "done\n"
    "exit $status\n";

static void
copy_after_add(
    struct copy *copy, struct copy_after_list *list, const char *what, char *argument, char *path)
{
	struct client_error error = { "out of memory" };

	(void)pthread_mutex_lock(&copy->lock);
	if (list->count + COPY_AFTER_WORDS > list->size) {
		size_t size = list->size == 0 ? COPY_AFTER_WORDS * 64 : list->size * 2;
		char **words = reallocarray(list->words, size, sizeof(*words));

		if (words != NULL) {
			list->words = words;
			list->size = size;
		}
	}
	if (argument != NULL && path != NULL && list->count + COPY_AFTER_WORDS <= list->size) {
		list->words[list->count++] = (char *)(uintptr_t)what;
		list->words[list->count++] = argument;
		list->words[list->count++] = path;
		argument = path = NULL;
		error.text[0] = '\0';
	}
	(void)pthread_mutex_unlock(&copy->lock);
	free(argument);
	free(path);
	if (error.text[0] != '\0')
		copy_complain(copy, -ENOMEM, &error);
}

void
copy_after_link(struct copy *copy, const char *path, const char *target)
{
	copy_after_add(copy, &copy->after.links, "link", strdup(target), strdup(path));
}

void
copy_after_time(struct copy *copy, const char *path, const struct timespec *mtime, bool is_dir)
{
	char *text = NULL;

	if (asprintf(&text, "%lld.%09ld", (long long)mtime->tv_sec, mtime->tv_nsec) < 0)
		text = NULL;
	copy_after_add(
	    copy, is_dir ? &copy->after.dirs : &copy->after.files, "time", text, strdup(path));
}

int
copy_after_exec(struct copy *copy, const char **argv, size_t count, struct client_error *error)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	struct start_request request = { START_DEFAULTS, .argv = argv, .argc = count };
	size_t len;
	char *json;
	int r;

	request.user = copy->user;
	json = start_format(&request, &len);
	if (json == NULL) {
		client_fail(error, "out of memory");
		return -ENOMEM;
	}
	r = control_ask(VMM_GUEST_START, json, len, -1, &answer, error);
	free(json);
	if (r < 0 || answer.exit.code == 0)
		return r;
	client_fail(error, "%s in the guest: %s", argv[0],
	    answer.words[0] != '\0' ? answer.words : "it failed");
	if (answer.exit.code == VMM_GUEST_EXIT_AGENT && strncmp(answer.words, "busy", 4) == 0)
		return -EBUSY;
	return -EREMOTEIO;
}

/* Has one shell do COUNT words. */
static int
copy_after_start(struct copy *copy, char **words, size_t count, struct client_error *error)
{
	static const char *const head[] = { "/bin/sh", "-c", copy_after_script, "sh" };
	const size_t head_count = sizeof(head) / sizeof(head[0]);
	const char *argv[sizeof(head) / sizeof(head[0]) + COPY_AFTER_STEPS_MAX * COPY_AFTER_WORDS];
	struct copy_patience patience = { 0 };
	struct client_error why = { "" };
	int r;

	memcpy(argv, head, sizeof(head));
	memcpy(argv + head_count, words, count * sizeof(*words));
	do
		r = copy_after_exec(copy, argv, head_count + count, &why);
	while (copy_try_again(&patience, &r));
	if (r < 0)
		client_fail(error, "links or times could not be set: %.400s", why.text);
	return r;
}

/* How many of COUNT words go into one START. */
static size_t
copy_after_fit(char *const *words, size_t count)
{
	size_t bytes = 0;
	size_t n = 0;

	while (n < count && n < COPY_AFTER_STEPS_MAX * COPY_AFTER_WORDS) {
		bytes += strlen(words[n + 1]) + strlen(words[n + 2]);
		if (n > 0 && bytes > COPY_AFTER_BYTES_MAX)
			break;
		n += COPY_AFTER_WORDS;
	}
	return n;
}

static void
copy_after_run_list(struct copy *copy, struct copy_after_list *list)
{
	struct client_error error = { "" };
	size_t done = 0;
	int r = 0;

	while (done < list->count && r != -ECANCELED) {
		size_t n = copy_after_fit(list->words + done, list->count - done);

		r = copy_after_start(copy, list->words + done, n, &error);
		if (r < 0)
			copy_complain(copy, r, &error);
		if (r < 0 && r != -EREMOTEIO)
			break;
		done += n;
	}
	for (size_t i = 0; i < list->count; i += COPY_AFTER_WORDS) {
		free(list->words[i + 1]);
		free(list->words[i + 2]);
	}
	free(list->words);
	*list = (struct copy_after_list){ 0 };
}

void
copy_after_run(struct copy *copy)
{
	copy_after_run_list(copy, &copy->after.links);
	copy_after_run_list(copy, &copy->after.files);
	copy_after_run_list(copy, &copy->after.dirs);
}
