/* What of mote_message_cpu stands in message_backward.c, and of mote_message_gpu in message_backward.cu. */
#ifndef MOTE_KERNELS_MESSAGE_BACKWARD_H
#define MOTE_KERNELS_MESSAGE_BACKWARD_H

#include "kernels/message/message.h"

mote_status mote_cpu_group(mote_stream *stream, const mote_edges *edges, int64_t senders,
                           int32_t *row_offsets, int32_t *edge, mote_buffer *scratch);
mote_status mote_cpu_pass_backward(mote_stream *stream, const mote_edges *edges, const mote_sent *sent,
                                   const mote_message_block *block, const mote_arena *arena,
                                   const float *state, mote_rows receiver_part, mote_rows sender_part,
                                   const float *length, mote_rows sender_factor, mote_rows d_sum,
                                   float *d_state, mote_sink d_receiver_part, mote_sink d_sender_part,
                                   mote_sink d_sender_factor, float *d_length, mote_buffer *scratch);

mote_status mote_gpu_group(mote_stream *stream, const mote_edges *edges, int64_t senders,
                           int32_t *row_offsets, int32_t *edge, mote_buffer *scratch);
mote_status mote_gpu_pass_backward(mote_stream *stream, const mote_edges *edges, const mote_sent *sent,
                                   const mote_message_block *block, const mote_arena *arena,
                                   const float *state, mote_rows receiver_part, mote_rows sender_part,
                                   const float *length, mote_rows sender_factor, mote_rows d_sum,
                                   float *d_state, mote_sink d_receiver_part, mote_sink d_sender_part,
                                   mote_sink d_sender_factor, float *d_length, mote_buffer *scratch);

#endif
