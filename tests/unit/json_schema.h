/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * json_schema.h - checks a document against one of our schemas.
 *
 * The part of JSON Schema that scripts/schema uses, and stricter in one point: a key
 * that the schema does not name is an error, so that none ships undescribed. A schema
 * word this does not know is an error too.
 */
#ifndef JSON_SCHEMA_H
#define JSON_SCHEMA_H

#include <jansson.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

struct schema_check {
	const json_t *root;
	char where[512];
};

static inline bool schema_validate(struct schema_check *check, const json_t *schema,
				   const json_t *value);

static inline bool schema_fail(struct schema_check *check, const char *what, const char *detail)
{
	fprintf(stderr, "%s: %s %s\n", check->where, what, detail);
	return false;
}

static inline bool schema_is_type(const char *type, const json_t *value)
{
	static const struct {
		const char *name;
		json_type types[2];
	} names[] = {
		{"object", {JSON_OBJECT, JSON_OBJECT}}, {"array", {JSON_ARRAY, JSON_ARRAY}},
		{"string", {JSON_STRING, JSON_STRING}}, {"integer", {JSON_INTEGER, JSON_INTEGER}},
		{"boolean", {JSON_TRUE, JSON_FALSE}},	{"null", {JSON_NULL, JSON_NULL}},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(names[i].name, type))
			return json_typeof(value) == names[i].types[0] ||
			       json_typeof(value) == names[i].types[1];
	}
	return false;
}

static inline bool schema_check_type(struct schema_check *check, const json_t *type,
				     const json_t *value)
{
	if (json_is_string(type))
		return schema_is_type(json_string_value(type), value) ||
		       schema_fail(check, "is not", json_string_value(type));
	for (size_t i = 0; i < json_array_size(type); i++) {
		if (schema_is_type(json_string_value(json_array_get(type, i)), value))
			return true;
	}
	return schema_fail(check, "has", "a type that is not listed");
}

static inline bool schema_check_enum(struct schema_check *check, const json_t *list,
				     const json_t *value)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (json_equal(json_array_get(list, i), value))
			return true;
	}
	return schema_fail(check, "is not one of the listed values:",
			   json_is_string(value) ? json_string_value(value) : "");
}

static inline bool schema_check_pattern(struct schema_check *check, const json_t *pattern,
					const json_t *value)
{
	regex_t regex;
	bool fits;

	if (!json_is_string(value))
		return true;
	if (regcomp(&regex, json_string_value(pattern), REG_EXTENDED | REG_NOSUB))
		return schema_fail(check, "cannot use the pattern", json_string_value(pattern));
	fits = regexec(&regex, json_string_value(value), 0, NULL, 0) == 0;
	regfree(&regex);
	return fits || schema_fail(check, "does not fit", json_string_value(pattern));
}

static inline bool schema_check_required(struct schema_check *check, const json_t *list,
					 const json_t *value)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *key = json_string_value(json_array_get(list, i));

		if (json_is_object(value) && !json_object_get(value, key))
			return schema_fail(check, "lacks", key);
	}
	return true;
}

static inline bool schema_check_properties(struct schema_check *check, const json_t *properties,
					   const json_t *value)
{
	size_t len = strlen(check->where);
	const char *key;
	json_t *member;

	if (!json_is_object(value))
		return true;
	json_object_foreach ((json_t *)value, key, member) {
		const json_t *schema = json_object_get(properties, key);

		if (!schema)
			return schema_fail(check, "has a key that the schema does not name:", key);
		snprintf(check->where + len, sizeof(check->where) - len, ".%s", key);
		if (!schema_validate(check, schema, member))
			return false;
		check->where[len] = '\0';
	}
	return true;
}

static inline bool schema_check_items(struct schema_check *check, const json_t *schema,
				      const json_t *value)
{
	size_t len = strlen(check->where);

	for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
		snprintf(check->where + len, sizeof(check->where) - len, "[%zu]", i);
		if (!schema_validate(check, schema, json_array_get(value, i)))
			return false;
		check->where[len] = '\0';
	}
	return true;
}

static inline bool schema_follow(struct schema_check *check, const json_t *ref, const json_t *value)
{
	static const char prefix[] = "#/$defs/";
	const char *name = json_string_value(ref);
	const json_t *schema =
		json_object_get(json_object_get(check->root, "$defs"), name + strlen(prefix));

	if (strncmp(name, prefix, strlen(prefix)) != 0 || !schema)
		return schema_fail(check, "follows an unknown reference", name);
	return schema_validate(check, schema, value);
}

static inline bool schema_check_word(struct schema_check *check, const char *word,
				     const json_t *rule, const json_t *value)
{
	static const char *const prose[] = {"$schema",	   "$id",   "title",
					    "description", "$defs", "additionalProperties",
					    "format",	   NULL};

	if (!strcmp(word, "type"))
		return schema_check_type(check, rule, value);
	if (!strcmp(word, "const"))
		return json_equal(rule, value) || schema_fail(check, "is not", "the constant");
	if (!strcmp(word, "enum"))
		return schema_check_enum(check, rule, value);
	if (!strcmp(word, "pattern"))
		return schema_check_pattern(check, rule, value);
	if (!strcmp(word, "required"))
		return schema_check_required(check, rule, value);
	if (!strcmp(word, "properties"))
		return schema_check_properties(check, rule, value);
	if (!strcmp(word, "items"))
		return schema_check_items(check, rule, value);
	if (!strcmp(word, "$ref"))
		return schema_follow(check, rule, value);
	if (!strcmp(word, "minimum"))
		return !json_is_integer(value) ||
		       json_integer_value(value) >= json_integer_value(rule) ||
		       schema_fail(check, "is", "below the minimum");
	for (size_t i = 0; prose[i]; i++) {
		if (!strcmp(word, prose[i]))
			return true;
	}
	return schema_fail(check, "the schema uses an unknown word:", word);
}

static inline bool schema_validate(struct schema_check *check, const json_t *schema,
				   const json_t *value)
{
	const char *word;
	json_t *rule;

	json_object_foreach ((json_t *)schema, word, rule) {
		if (!schema_check_word(check, word, rule, value))
			return false;
	}
	return true;
}

/* Does @value fit scripts/schema/@name? Says why not on stderr. */
static inline bool schema_accepts(const char *name, const json_t *value)
{
	struct schema_check check = {.where = "$"};
	json_error_t error;
	char path[512];
	json_t *schema;
	bool fits;

	snprintf(path, sizeof(path), "%.*s../../scripts/schema/%s",
		 (int)(strrchr(__FILE__, '/') + 1 - __FILE__), __FILE__, name);
	schema = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (!schema) {
		fprintf(stderr, "%s: %s\n", path, error.text);
		return false;
	}
	check.root = schema;
	fits = schema_validate(&check, schema, value);
	if (!fits)
		fprintf(stderr, "the document does not fit %s\n", name);
	json_decref(schema);
	return fits;
}

#endif /* JSON_SCHEMA_H */
