/* Device functions that wait for nobody: atomics, loads, fences, bit and fast-math intrinsics. Threads of the
   emulated device run one at a time, so an atomic is a plain operation. */
#ifndef MOTE_EMULATOR_INTRINSICS_H
#define MOTE_EMULATOR_INTRINSICS_H

namespace mote_emulator {
[[noreturn]] void kernel_trap();
/* The access is atomic: the checked build does not hold it against others of its kind (access.cc). */
void note_atomic(const void *address, size_t bytes);
#ifndef MOTE_EMULATOR_CHECKED
inline void note_atomic(const void *, size_t) {}
#endif

/* What `change` makes of the old value is stored; the old value is returned. */
template <typename T, typename Change>
__attribute__((no_sanitize("thread"))) T atomic(T *address, Change change) {
  note_atomic(address, sizeof(T));
  T old = *address;
  *address = change(old);
  return old;
}
} // namespace mote_emulator

#define MOTE_EMULATOR_ATOMIC(name, type, expression)                                                         \
  inline type name(type *address, type value) {                                                              \
    return mote_emulator::atomic(address, [=](type old) -> type { return expression; });                     \
  }                                                                                                          \
  inline type name##_block(type *address, type value) {                                                      \
    return name(address, value);                                                                             \
  }
#define MOTE_EMULATOR_ATOMIC_INTEGERS(name, expression)                                                      \
  MOTE_EMULATOR_ATOMIC(name, int, expression)                                                                \
  MOTE_EMULATOR_ATOMIC(name, unsigned, expression)                                                           \
  MOTE_EMULATOR_ATOMIC(name, unsigned long long, expression)
MOTE_EMULATOR_ATOMIC(atomicAdd, int, int(unsigned(old) + unsigned(value)))
MOTE_EMULATOR_ATOMIC(atomicAdd, unsigned, old + value)
MOTE_EMULATOR_ATOMIC(atomicAdd, unsigned long long, old + value)
MOTE_EMULATOR_ATOMIC(atomicAdd, float, old + value)
MOTE_EMULATOR_ATOMIC(atomicAdd, double, old + value)
MOTE_EMULATOR_ATOMIC(atomicSub, int, int(unsigned(old) - unsigned(value)))
MOTE_EMULATOR_ATOMIC(atomicSub, unsigned, old - value)
MOTE_EMULATOR_ATOMIC_INTEGERS(atomicMin, value < old ? value : old)
MOTE_EMULATOR_ATOMIC(atomicMin, long long, value < old ? value : old)
MOTE_EMULATOR_ATOMIC_INTEGERS(atomicMax, value > old ? value : old)
MOTE_EMULATOR_ATOMIC(atomicMax, long long, value > old ? value : old)
MOTE_EMULATOR_ATOMIC_INTEGERS(atomicExch, ((void)old, value))
MOTE_EMULATOR_ATOMIC(atomicExch, float, ((void)old, value))
MOTE_EMULATOR_ATOMIC_INTEGERS(atomicAnd, old &value)
MOTE_EMULATOR_ATOMIC_INTEGERS(atomicOr, old | value)
MOTE_EMULATOR_ATOMIC_INTEGERS(atomicXor, old ^ value)
MOTE_EMULATOR_ATOMIC(atomicInc, unsigned, old >= value ? 0u : old + 1u)
MOTE_EMULATOR_ATOMIC(atomicDec, unsigned, old == 0 || old > value ? value : old - 1u)
#undef MOTE_EMULATOR_ATOMIC
#undef MOTE_EMULATOR_ATOMIC_INTEGERS
#define MOTE_EMULATOR_CAS(type)                                                                              \
  inline type atomicCAS(type *address, type compare, type value) {                                           \
    return mote_emulator::atomic(address, [=](type old) { return old == compare ? value : old; });           \
  }
MOTE_EMULATOR_CAS(int)
MOTE_EMULATOR_CAS(unsigned)
MOTE_EMULATOR_CAS(unsigned long long)
#undef MOTE_EMULATOR_CAS

template <typename T> T __ldg(const T *address) {
  return *address;
}
template <typename T> T __ldcs(const T *address) {
  return *address;
}
template <typename T> T __ldca(const T *address) {
  return *address;
}
template <typename T> T __ldcg(const T *address) {
  return *address;
}
template <typename T> void __stcs(T *address, T value) {
  *address = value;
}
template <typename T> void __stcg(T *address, T value) {
  *address = value;
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline void __nanosleep(unsigned) {}
inline void __trap() {
  mote_emulator::kernel_trap();
}
#define __builtin_assume(condition) ((void)0)

inline int __popc(unsigned x) {
  return __builtin_popcount(x);
}
inline int __popcll(unsigned long long x) {
  return __builtin_popcountll(x);
}
inline int __ffs(int x) {
  return __builtin_ffs(x);
}
inline int __ffsll(long long x) {
  return __builtin_ffsll(x);
}
inline int __clz(int x) {
  return x ? __builtin_clz(unsigned(x)) : 32;
}
inline int __clzll(long long x) {
  return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64;
}
inline unsigned __brev(unsigned x) {
  unsigned y = 0;
  for (int i = 0; i < 32; i++) y |= (x >> i & 1u) << (31 - i);
  return y;
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return unsigned(uint64_t(a) * b >> 32);
}
inline int __mulhi(int a, int b) {
  return int(int64_t(a) * b >> 32);
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return unsigned(((uint64_t(high) << 32 | low) << (shift & 31)) >> 32);
}

template <typename To, typename From> inline To mote_emulator_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "bits are kept");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
inline int __float_as_int(float x) {
  return mote_emulator_bits<int>(x);
}
inline unsigned __float_as_uint(float x) {
  return mote_emulator_bits<unsigned>(x);
}
inline float __int_as_float(int x) {
  return mote_emulator_bits<float>(x);
}
inline float __uint_as_float(unsigned x) {
  return mote_emulator_bits<float>(x);
}
inline long long __double_as_longlong(double x) {
  return mote_emulator_bits<long long>(x);
}
inline double __longlong_as_double(long long x) {
  return mote_emulator_bits<double>(x);
}
/* An out-of-range conversion saturates on the device; NaN gives 0. */
inline int mote_emulator_to_int(float x) {
  return x != x ? 0 : x >= 2147483648.f ? 2147483647 : x < -2147483648.f ? -2147483647 - 1 : int(x);
}
inline int __float2int_rn(float x) {
  return mote_emulator_to_int(rintf(x));
}
inline int __float2int_rd(float x) {
  return mote_emulator_to_int(floorf(x));
}
inline int __float2int_ru(float x) {
  return mote_emulator_to_int(ceilf(x));
}
inline int __float2int_rz(float x) {
  return mote_emulator_to_int(x);
}
inline float __int2float_rn(int x) {
  return float(x);
}

inline float rsqrtf(float x) {
  return 1.f / sqrtf(x);
}
inline double rsqrt(double x) {
  return 1. / sqrt(x);
}
inline float rcbrtf(float x) {
  return 1.f / cbrtf(x);
}
inline float __frcp_rn(float x) {
  return 1.f / x;
}
inline float __frsqrt_rn(float x) {
  return 1.f / sqrtf(x);
}
inline float __fsqrt_rn(float x) {
  return sqrtf(x);
}
inline float __fdividef(float a, float b) {
  return a / b;
}
inline float __fdiv_rn(float a, float b) {
  return a / b;
}
inline float __fadd_rn(float a, float b) {
  return a + b;
}
inline float __fsub_rn(float a, float b) {
  return a - b;
}
inline float __fmul_rn(float a, float b) {
  return a * b;
}
inline float __fmaf_rn(float a, float b, float c) {
  return fmaf(a, b, c);
}
inline float __expf(float x) {
  return expf(x);
}
inline float __exp10f(float x) {
  return powf(10.f, x);
}
inline float __logf(float x) {
  return logf(x);
}
inline float __log2f(float x) {
  return log2f(x);
}
inline float __sinf(float x) {
  return sinf(x);
}
inline float __cosf(float x) {
  return cosf(x);
}
inline void __sincosf(float x, float *s, float *c) {
  *s = sinf(x);
  *c = cosf(x);
}
inline float __powf(float x, float y) {
  return powf(x, y);
}
inline float __saturatef(float x) {
  return x > 0.f ? (x < 1.f ? x : 1.f) : 0.f;
}
inline float norm3df(float a, float b, float c) {
  return sqrtf(a * a + b * b + c * c);
}

#define MOTE_EMULATOR_MIN_MAX(type)                                                                          \
  inline type min(type a, type b) {                                                                          \
    return b < a ? b : a;                                                                                    \
  }                                                                                                          \
  inline type max(type a, type b) {                                                                          \
    return a < b ? b : a;                                                                                    \
  }
MOTE_EMULATOR_MIN_MAX(int)
MOTE_EMULATOR_MIN_MAX(unsigned)
MOTE_EMULATOR_MIN_MAX(long)
MOTE_EMULATOR_MIN_MAX(unsigned long)
MOTE_EMULATOR_MIN_MAX(long long)
MOTE_EMULATOR_MIN_MAX(unsigned long long)
#undef MOTE_EMULATOR_MIN_MAX
inline float min(float a, float b) {
  return fminf(a, b);
}
inline float max(float a, float b) {
  return fmaxf(a, b);
}
inline double min(double a, double b) {
  return fmin(a, b);
}
inline double max(double a, double b) {
  return fmax(a, b);
}

#endif
