/* The kernel families: one line a folder under kernels/. A device has a table of function pointers for each;
   the CPU's is called mote_<family>_cpu, the GPU's mote_<family>_gpu, its type struct mote_<family>_kernels.
 */
#ifndef MOTE_KERNELS_FAMILIES_H
#define MOTE_KERNELS_FAMILIES_H

/* clang-format off */
#define MOTE_FAMILIES(FAMILY) \
  FAMILY(array)               \
  FAMILY(attention)           \
  FAMILY(constitutive)        \
  FAMILY(correct)             \
  FAMILY(dense)               \
  FAMILY(feature)             \
  FAMILY(integral)            \
  FAMILY(kin)                 \
  FAMILY(message)             \
  FAMILY(nearest)             \
  FAMILY(neighbor)            \
  FAMILY(neural)              \
  FAMILY(optimize)            \
  FAMILY(pair)                \
  FAMILY(probe)               \
  FAMILY(reconstruct)         \
  FAMILY(sparse)              \
  FAMILY(transfer)
/* clang-format on */

#endif
