/* libFuzzer: a time-stepper's folder. The input is config.json, a zero byte, and the header of
   model.safetensors, whose tensors are then filled with small numbers. A model that loads takes two steps: it
   answers with finite positions or says that it diverged. Seeds: tests/fuzz/seeds.py. */
#include <mote/stepper.h>

#include <math.h>
#include <string.h>

#include "host/models/network_config.h"
#include "tests/fuzz/scratch.h"

#define PARTICLES 12
#define LARGEST_DATA (1 << 20)

static char folder[] = "/dev/shm/mote-fuzz-XXXXXX", config[64], tensors[64];
static mote_device *device;
static uint8_t file[LARGEST_DATA + (1 << 16)];

static void write_file(const char *path, const uint8_t *data, size_t size) {
  FILE *f = fopen(path, "wb");
  if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0) abort();
}

static void clean_up(void) {
  mote_device_close(device);
  remove(config);
  remove(tensors);
  rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  mote_device_options options = {.threads = 1};
  if (!mkdtemp(folder) || mote_device_open("cpu", &options, &device) != MOTE_OK) abort();
  snprintf(config, sizeof config, "%s/config.json", folder);
  snprintf(tensors, sizeof tensors, "%s/model.safetensors", folder);
  atexit(clean_up);
  return 0;
}

/* The end of the last tensor: the largest number behind "data_offsets". */
static size_t data_size(const uint8_t *header, size_t size) {
  size_t most = 0, at = 0;
  const char *key = "data_offsets";
  while (at + strlen(key) < size) {
    if (memcmp(header + at, key, strlen(key)) != 0) {
      at++;
      continue;
    }
    for (at += strlen(key); at < size && header[at] != ']'; at++) {
      size_t value = 0;
      while (at < size && header[at] >= '0' && header[at] <= '9' && value < 2 * LARGEST_DATA)
        value = 10 * value + header[at++] - '0';
      if (value > most) most = value;
      if (at < size && header[at] == ']') break;
    }
  }
  return most < LARGEST_DATA ? most : LARGEST_DATA;
}

/* Weights of a few tenths, which are numbers at any alignment and as float32 or float16. */
static void write_tensors(const uint8_t *header, size_t size) {
  size_t data = data_size(header, size);
  uint64_t length = size;
  if (size > sizeof file - LARGEST_DATA - 8) return;
  memcpy(file, &length, 8);
  memcpy(file + 8, header, size);
  for (size_t k = 0; k < data; k++)
    file[8 + size + k] = k % 4 == 3 ? (k % 24 == 3 ? 0xbe : 0x3e) : (uint8_t)(k * 37 % 120);
  write_file(tensors, file, 8 + size + data);
}

/* Sizes that would only take time. */
static int small_enough(void) {
  mote_network_config c;
  if (mote_network_config_read(config, &c) != MOTE_OK) return 1;
  return !c.has_latent || pow(c.latent.grid, c.dim) <= 1000;
}

static void run(const mote_model *model) {
  static float history[16 * PARTICLES * 3], x[PARTICLES * 3], a[PARTICLES * 3];
  mote_metadata metadata = {.has_statistics = 1, .connectivity_radius = 0.3};
  mote_model_info info;
  mote_stepper *stepper;
  mote_model_get_info(model, &info);
  if (info.frames < 2 || info.frames > 16 || info.dim < 2 || info.dim > 3 || info.parameters < 1) abort();
  metadata.dim = info.dim;
  for (int k = 0; k < info.dim; k++) {
    metadata.bounds[k][1] = 1;
    metadata.velocity_std[k] = metadata.acceleration_std[k] = 0.01;
  }
  int values = PARTICLES * info.dim;
  for (int k = 0; k < info.frames * values; k++)
    history[k] = (float)(k % values * 29 % 64) / 64 + 0.001f * (float)(k / values);
  mote_stepper_options options = {.count = PARTICLES, .metadata = &metadata};
  if (mote_stepper_create(model, &options, &stepper) != MOTE_OK) abort();
  if (mote_stepper_start(stepper, history) != MOTE_OK) abort();
  for (int step = 0; step < 2; step++)
    if (mote_stepper_advance(stepper, NULL) != MOTE_OK) abort();
  mote_status status = mote_stepper_read(stepper, x, a);
  if (status != MOTE_OK && status != MOTE_ERROR_NUMERIC) abort();
  for (int k = 0; k < values && status == MOTE_OK; k++)
    if (!isfinite(x[k]) || !isfinite(a[k])) abort();
  mote_stepper_destroy(stepper);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
  size_t text = zero ? (size_t)(zero - data) : size;
  mote_model *model;
  write_file(config, data, text);
  write_tensors(zero ? zero + 1 : data, zero ? size - text - 1 : 0);
  if (!small_enough()) return 0;
  mote_status status = mote_model_load(device, folder, &model);
  if ((status == MOTE_OK) != (model != NULL)) abort();
  if (model) run(model);
  mote_model_destroy(model);
  if (mote_device_memory_use(device).bytes_now) abort();
  return 0;
}
