/*
 * first: a program of a host that runs one in its guest, and tells what became of it; a file goes
 * in and comes out.
 *
 *   cc first.c $(pkg-config --cflags --libs vmmguest) && ./a.out unix:/run/vm/v.sock
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include <vmm-guest/client.h>

static const char *
kept(struct vmm_guest *guest, enum vmm_guest_event event)
{
	size_t len;

	return vmm_guest_output(guest, event, &len);
}

/* A program with input, and its exit code; what the agent can't do is an error, with words. */
static int
run(struct vmm_guest *guest)
{
	const char *input = "three bytes\n";
	int code = vmm_guest_run(guest, "{\"cmd\":[\"sh\",\"-c\",\"cat; echo done >&2; exit 3\"]}",
	    input, strlen(input));

	if (code < 0)
		return code;
	(void)printf("exit code %d, it said '%s' and '%s'\n", code,
	    kept(guest, VMM_GUEST_EVENT_STDOUT), kept(guest, VMM_GUEST_EVENT_STDERR));
	return 0;
}

static int
copy(struct vmm_guest *guest, const char *text)
{
	int r = vmm_guest_put(
	    guest, "{\"path\":\"/tmp/vmm-guest-first\",\"mode\":420}", text, strlen(text));

	if (r == 0)
		r = vmm_guest_get(guest, "{\"path\":\"/tmp/vmm-guest-first\"}");
	if (r == 0)
		(void)printf("the file says '%s'\n", kept(guest, VMM_GUEST_EVENT_DATA));
	if (r == 0)
		r = vmm_guest_request(
		    guest, "FILE_REMOVE_REQ", "{\"path\":\"/tmp/vmm-guest-first\"}");
	return r;
}

/* The same step by step: what comes is seen as it comes, and nothing of it is kept. */
static int
look_on(struct vmm_guest *guest)
{
	const void *data;
	size_t len;
	int event;
	int r = vmm_guest_begin(guest, "START", "{\"cmd\":[\"seq\",\"3\"],\"stdin\":false}");

	if (r < 0)
		return r;
	while ((event = vmm_guest_wait(guest, -1, &data, &len)) > 0) {
		if (event == VMM_GUEST_EVENT_STDOUT)
			(void)printf("%.*s", (int)len, (const char *)data);
		if (event == VMM_GUEST_EVENT_END)
			return vmm_guest_result(guest);
	}
	return event;
}

int
main(int argc, char **argv)
{
	struct vmm_guest *guest = argc == 2 ? vmm_guest_new(argv[1]) : NULL;
	int r;

	if (guest == NULL)
		return 2;
	r = vmm_guest_wait_ready(guest, 60000);
	if (r == 0)
		r = run(guest);
	if (r == 0)
		r = copy(guest, "there and back");
	if (r == 0)
		r = look_on(guest);
	if (r < 0)
		(void)fprintf(stderr, "first: %s\n", vmm_guest_error_text(guest));
	vmm_guest_free(guest);
	return r < 0;
}
