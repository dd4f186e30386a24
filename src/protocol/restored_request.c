/*
 * restored_request: RESTORED's JSON, and the STATUS that answers it.
 */
#include "protocol/restored_request.h"

#include <errno.h>
#include <string.h>

#include "protocol/base64.h"

static void
restored_read_entropy(struct json_object *object, struct restored_request *request)
{
	struct json_error *error = &request->entropy_error;
	const char *text = json_get_string(object, "entropy", "", error);
	ssize_t len =
	    text != NULL ? base64_parse(text, request->entropy, sizeof(request->entropy)) : 0;

	if (len < 0)
		json_fail(error, "member 'entropy': it is not base64");
	else
		request->entropy_len = (size_t)len;
}

static void
restored_read_net(struct json_object *object, struct restored_request *request)
{
	struct json_object *net;

	request->has_net = json_object_object_get_ex(object, "net", &net);
	if (!request->has_net)
		return;
	if (json_object_is_type(net, json_type_object))
		(void)net_request_read(net, &request->net, &request->net_error);
	else
		json_fail(&request->net_error, "member 'net': an object is needed");
}

int
restored_request_parse(
    const char *text, size_t len, struct restored_request *ret, struct json_error *error)
{
	struct json_object *CLEANUP_JSON object = json_parse_object(text, len, error);

	*ret = (struct restored_request){ .has_clock = false };
	if (object == NULL)
		return -EINVAL;
	ret->has_clock = json_has(object, "unix_ns");
	ret->unix_ns = json_get_i64(object, "unix_ns", 0, &ret->clock_error);
	restored_read_entropy(object, ret);
	restored_read_net(object, ret);
	return 0;
}

char *
restored_request_format(const struct restored_format *format, size_t *ret_len)
{
	struct json_object *CLEANUP_JSON object = json_object_new_object();
	char entropy[BASE64_TEXT_SIZE(VMM_GUEST_ENTROPY_MAX)];

	if (object == NULL)
		return NULL;
	base64_format(format->entropy, format->entropy_len, entropy);
	(void)json_object_object_add(object, "unix_ns", json_object_new_int64(format->unix_ns));
	(void)json_object_object_add(object, "entropy", json_object_new_string(entropy));
	if (format->ip != NULL) {
		struct json_object *net = json_object_new_object();

		(void)json_object_object_add(net, "ip", json_object_new_string(format->ip));
		(void)json_object_object_add(
		    net, "netmask", json_object_new_string(format->netmask));
		(void)json_object_object_add(
		    net, "gateway", json_object_new_string(format->gateway));
		(void)json_object_object_add(object, "net", net);
	}
	return json_to_text(object, ret_len);
}

char *
restored_status_format(const struct restored_status *status, size_t *ret_len)
{
	struct json_object *CLEANUP_JSON object = json_object_new_object();
	struct json_object *errors = json_object_new_array();

	if (object == NULL)
		return NULL;
	(void)json_object_object_add(object, "event", json_object_new_string("restored"));
	(void)json_object_object_add(object, "clock_us", json_object_new_uint64(status->clock_us));
	(void)json_object_object_add(
	    object, "entropy_us", json_object_new_uint64(status->entropy_us));
	(void)json_object_object_add(object, "net_us", json_object_new_uint64(status->net_us));
	(void)json_object_object_add(object, "total_us", json_object_new_uint64(status->total_us));
	for (unsigned i = 0; i < status->errors_count; i++)
		(void)json_object_array_add(errors, json_object_new_string(status->errors[i]));
	(void)json_object_object_add(object, "errors", errors);
	return json_to_text(object, ret_len);
}

static void
restored_read_errors(
    struct json_object *object, struct restored_status *status, struct json_error *error)
{
	struct json_object *errors;
	size_t count;

	if (!json_object_object_get_ex(object, "errors", &errors))
		return;
	if (!json_object_is_type(errors, json_type_array)) {
		json_fail(error, "member 'errors': an array of strings is needed");
		return;
	}
	count = json_object_array_length(errors);
	for (size_t i = 0; i < count && i < RESTORED_ERRORS_MAX; i++) {
		const char *text =
		    json_string_of(json_object_array_get_idx(errors, i), "errors", error);

		(void)strlcpy(status->errors[i], text != NULL ? text : "", RESTORED_ERROR_SIZE);
		status->errors_count++;
	}
}

int
restored_status_parse(
    const char *text, size_t len, struct restored_status *ret, struct json_error *error)
{
	struct json_object *CLEANUP_JSON object = json_parse_object(text, len, error);

	*ret = (struct restored_status){ 0 };
	if (object == NULL)
		return -EBADMSG;
	ret->clock_us = json_get_u64(object, "clock_us", UINT64_MAX, 0, error);
	ret->entropy_us = json_get_u64(object, "entropy_us", UINT64_MAX, 0, error);
	ret->net_us = json_get_u64(object, "net_us", UINT64_MAX, 0, error);
	ret->total_us = json_get_u64(object, "total_us", UINT64_MAX, 0, error);
	restored_read_errors(object, ret, error);
	return error->text[0] == '\0' ? 0 : -EBADMSG;
}
