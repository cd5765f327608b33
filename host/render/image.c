/* Images and their PNG files. */
#include <mote/render.h>

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/core/stdio_output.h"

mote_status mote_image_create(int width, int height, mote_image *image) {
  *image = (mote_image){0};
  if (width < 1 || height < 1 || width > 16384 || height > 16384)
    return mote_fail(MOTE_ERROR_ARGUMENT, "image of %d x %d pixels: each side must be in 1..16384", width,
                     height);
  size_t bytes = (size_t)width * (size_t)height * 3;
  image->pixel = malloc(bytes);
  if (!image->pixel)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for an image of %d x %d pixels", width, height);
  memset(image->pixel, 255, bytes);
  image->width = width;
  image->height = height;
  return MOTE_OK;
}

void mote_image_destroy(mote_image *image) {
  free(image->pixel);
  *image = (mote_image){0};
}

typedef struct png_context {
  jmp_buf jump;
  char message[256];
} png_context;

static void on_error(png_structp png, png_const_charp message) {
  png_context *context = png_get_error_ptr(png);
  snprintf(context->message, sizeof context->message, "%s", message);
  longjmp(context->jump, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

/* 0 when libpng wrote all of it; else context->message says why not. */
static int encode(const mote_image *image, FILE *file, png_context *context) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, context, on_error, on_warning);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  if (!info) {
    png_destroy_write_struct(&png, NULL);
    snprintf(context->message, sizeof context->message, "out of memory");
    return 1;
  }
  if (setjmp(context->jump)) {
    png_destroy_write_struct(&png, &info);
    return 1;
  }
  png_init_io(png, file);
  png_set_IHDR(png, info, (png_uint_32)image->width, (png_uint_32)image->height, 8, PNG_COLOR_TYPE_RGB,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_sRGB(png, info, PNG_sRGB_INTENT_PERCEPTUAL);
  png_set_compression_level(png, 6);
  png_write_info(png, info);
  for (int y = 0; y < image->height; y++)
    png_write_row(png, image->pixel + (size_t)y * (size_t)image->width * 3);
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return 0;
}

mote_status mote_image_write_png(const mote_image *image, const char *path) {
  mote_stdio_output output;
  MOTE_TRY(mote_stdio_begin(path, 1, &output));
  png_context context = {.message = ""};
  if (!encode(image, output.file, &context)) return mote_stdio_commit(&output);
  mote_stdio_abort(&output);
  return mote_fail(MOTE_ERROR_IO, "%s: cannot write the PNG: %s", path, context.message);
}
