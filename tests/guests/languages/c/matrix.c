// What a tool in C can do: one function for each row of docs/languages.md.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bindings/matrix.h"

// The type of the component comes from `wasm-tools component embed`, not from an object file.
void __component_type_object_force_link_matrix(void) {}

// What was lifted belongs to this side, and so does what is lowered: it may be the same.
void exports_matrix_echo_text(matrix_string_t *value, matrix_string_t *ret) { *ret = *value; }

void exports_matrix_echo_numbers(matrix_numbers_t *value, matrix_numbers_t *ret) { *ret = *value; }

matrix_mood_t exports_matrix_echo_mood(matrix_mood_t value) { return value; }

matrix_days_t exports_matrix_echo_days(matrix_days_t value) { return value; }

void exports_matrix_echo_place(matrix_place_t *value, matrix_place_t *ret) { *ret = *value; }

void exports_matrix_echo_person(matrix_person_t *value, matrix_person_t *ret) { *ret = *value; }

bool exports_matrix_echo_option(matrix_string_t *maybe_value, matrix_string_t *ret) {
  if (maybe_value == NULL) return false;
  *ret = *maybe_value;
  return true;
}

bool exports_matrix_echo_result(matrix_result_u32_string_t *value, uint32_t *ret,
                                matrix_string_t *err) {
  if (value->is_err) {
    *err = value->val.err;
  } else {
    *ret = value->val.ok;
  }
  return !value->is_err;
}

void exports_matrix_echo_list(matrix_list_string_t *value, matrix_list_string_t *ret) {
  *ret = *value;
}

void exports_matrix_echo_bytes(matrix_list_u8_t *value, matrix_list_u8_t *ret) { *ret = *value; }

void exports_matrix_echo_tuple(matrix_tuple2_string_s32_t *value, matrix_tuple2_string_s32_t *ret) {
  *ret = *value;
}

void exports_matrix_print(matrix_string_t *out, matrix_string_t *err) {
  fprintf(stdout, "%.*s\n", (int)out->len, (char *)out->ptr);
  fflush(stdout);
  fprintf(stderr, "%.*s\n", (int)err->len, (char *)err->ptr);
}

static char *terminated(const matrix_string_t *text) {
  char *copy = malloc(text->len + 1);
  if (copy == NULL) abort();
  memcpy(copy, text->ptr, text->len);
  copy[text->len] = '\0';
  return copy;
}

static bool failed(matrix_string_t *err) {
  matrix_string_dup(err, strerror(errno));
  return false;
}

bool exports_matrix_read_file(matrix_string_t *path, matrix_string_t *ret, matrix_string_t *err) {
  char *name = terminated(path);
  FILE *file = fopen(name, "rb");
  free(name);
  if (file == NULL) return failed(err);
  char content[65536];
  size_t length = fread(content, 1, sizeof content, file);
  bool broken = ferror(file);
  fclose(file);
  if (broken) return failed(err);
  matrix_string_dup_n(ret, content, length);
  return true;
}

bool exports_matrix_write_file(matrix_string_t *path, matrix_string_t *text, matrix_string_t *err) {
  char *name = terminated(path);
  FILE *file = fopen(name, "wb");
  free(name);
  if (file == NULL) return failed(err);
  bool whole = fwrite(text->ptr, 1, text->len, file) == text->len;
  return (fclose(file) == 0 && whole) || failed(err);
}

bool exports_matrix_variable(matrix_string_t *name, matrix_string_t *ret) {
  char *key = terminated(name);
  const char *value = getenv(key);
  free(key);
  if (value == NULL) return false;
  matrix_string_dup(ret, value);
  return true;
}

static uint64_t milliseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t exports_matrix_now(void) { return milliseconds(CLOCK_REALTIME); }

void exports_matrix_random(matrix_list_u8_t *ret) {
  ret->len = 16;
  ret->ptr = malloc(ret->len);
  if (ret->ptr == NULL || getentropy(ret->ptr, ret->len) != 0) abort();
}

uint32_t exports_matrix_sleep(uint32_t duration) {
  uint64_t began = milliseconds(CLOCK_MONOTONIC);
  struct timespec span = {duration / 1000, duration % 1000 * 1000000L};
  nanosleep(&span, NULL);
  return (uint32_t)(milliseconds(CLOCK_MONOTONIC) - began);
}

void exports_matrix_exit_with(uint8_t code) { exit(code); }

void exports_matrix_fail(void) { abort(); }

void exports_matrix_spin(void) {
  for (volatile int forever = 1; forever;) {
  }
}
