/* The sums of shared computation, made while the products that they are of are still in registers.

   A layer is a list of sums of matrix products over maps: `shared_kernel.py` writes it, from the plan of border states,
   and tells there what its numbers mean. The work goes tile by tile: ROWS neighbouring positions of a map times the
   channels of one plane. The product of an input map with the weights of a tap stays in registers, and is added from
   there to every sum that takes it; those lie in the first cache. When all are whole they go into the maxima of
   pooling, bias and ReLU with the last. What lies beyond a map's end in a tile is computed and never read.

   Only the order of additions within a value decides its bits, and that is the list's: tiles of other sizes give the
   same, and so do all processors with fused multiply-adds. */

#ifndef LAYER

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>

enum { LANES = 16 };
/* As wide as the widest processor's; others take several registers for one. */
typedef float vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t mask __attribute__((vector_size(4 * LANES)));

#define LARGER(a, b) ((vector)((((a) > (b)) & (mask)(a)) | (~((a) > (b)) & (mask)(b))))

enum { STORE = 1, BIAS = 2, RELU = 4 }; /* what is done with a value, as in shared_kernel.py */

struct layer {
    const int32_t *list;
    const float *input, *weights, *bias;
    float *output, *sums;
    int width, depth, taps, planes; /* positions in a map's row; channels of an input; weights; planes of the output */
    Py_ssize_t plane;               /* numbers in a plane of the output */
};

/* Whether one of n positions from (y, x) lies in a range: rows from, to, columns from, to. */
static inline int within(const int32_t *range, int y, int x, int n)
{
    return y >= range[0] && y < range[1] && x + n > range[2] && x < range[3];
}

/* The file includes itself for each kind of processor, with tiles that fill its registers and leave room for a row of
   weights. */
#if defined(__x86_64__)
#define LAYER layer_avx512_wide
#define TARGET __attribute__((target("avx512f")))
#define ROWS 8
#define VECTORS 2
#include "_sums.c"
#define LAYER layer_avx512
#define TARGET __attribute__((target("avx512f")))
#define ROWS 8
#define VECTORS 1
#include "_sums.c"
#define LAYER layer_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define ROWS 6
#define VECTORS 1
#include "_sums.c"
#endif
#define LAYER layer_plain
#define TARGET
#define ROWS 2
#define VECTORS 1
#include "_sums.c"

/* layer(kind, channels of a plane, output, input, weights, bias, list, sums, width, depth, taps, planes, plane) */
static PyObject *layer(PyObject *self, PyObject *args)
{
    struct layer l;
    Py_buffer b[6];
    int kind, wide;
    (void)self;
    if (!PyArg_ParseTuple(args, "iiw*y*y*y*y*w*iiiin", &kind, &wide, b, b + 1, b + 2, b + 3, b + 4, b + 5, &l.width,
                          &l.depth, &l.taps, &l.planes, &l.plane))
        return NULL;
    l.output = b[0].buf, l.input = b[1].buf, l.weights = b[2].buf, l.bias = b[3].buf, l.list = b[4].buf;
    l.sums = b[5].buf;
    Py_BEGIN_ALLOW_THREADS
#if defined(__x86_64__)
    if (kind == 2)
        (wide == LANES ? layer_avx512 : layer_avx512_wide)(&l);
    else if (kind == 1)
        layer_avx2(&l);
    else
#endif
        layer_plain(&l);
    Py_END_ALLOW_THREADS
    for (int i = 0; i < 6; i++)
        PyBuffer_Release(b + i);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {{"layer", layer, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_sums", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__sums(void)
{
    PyObject *made = PyModule_Create(&module);
    int kind = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        kind = __builtin_cpu_supports("avx512f") ? 2 : 1;
#endif
    if (made && PyModule_AddIntConstant(made, "kind", kind)) /* the best that this processor knows */
        Py_CLEAR(made);
    return made;
}

#else /* included from above, for one kind of processor */

TARGET static void LAYER(const struct layer *l)
{
    enum { WIDE = VECTORS * LANES, TILE = ROWS * WIDE };
    const Py_ssize_t depth = l->depth;
    const int32_t *next = l->list + 1;
    for (int group = 0; group < l->list[0]; group++) {
        const int32_t *g = next;
        next += g[6];
        /* rows before columns: maxima take rows that were begun a moment ago */
        for (int x = g[2]; x < g[3]; x += ROWS)
            for (int y = g[0]; y < g[1]; y++)
                for (int plane = 0; plane < l->planes; plane++) {
                    const float *weights = l->weights + plane * l->taps * depth * WIDE;
                    const Py_ssize_t position = (Py_ssize_t)y * l->width + x;
                    const int32_t *at = g + 7;
                    for (int run = 0; run < g[4]; run++) {
                        const int n_products = at[0], n_sums = at[1];
                        const int32_t *sums = at + 2, *product = sums + 6 * n_sums;
                        at = product + 2 * n_products;
                        int wanted = 0;
                        for (int i = 0; i < n_sums; i++)
                            wanted |= within(sums + 6 * i + 2, y, x, ROWS);
                        if (!wanted)
                            continue;
                        vector tile[ROWS][VECTORS] = {0};
                        for (; product < at; product += 2) {
                            const float *in = l->input + product[0] + position * depth;
                            const float *w = weights + product[1] * depth * WIDE;
                            /* the next row, which no processor guesses: without it half of the time is waiting */
                            for (int i = 0; i < ROWS * depth; i += LANES)
                                __builtin_prefetch(in + l->width * depth + i);
                            for (int k = 0; k < depth; k++, w += WIDE) {
                                vector row[VECTORS];
#pragma GCC unroll 2
                                for (int q = 0; q < VECTORS; q++)
                                    row[q] = *(const vector *)(w + q * LANES);
#pragma GCC unroll 8
                                for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
                                    for (int q = 0; q < VECTORS; q++)
                                        tile[r][q] += in[r * depth + k] * row[q];
                            }
                        }
                        for (int i = 0; i < n_sums; i++, sums += 6) {
                            if (!within(sums + 2, y, x, ROWS))
                                continue;
                            const int first = sums[1] & STORE;
                            vector *sum = (vector *)(l->sums + sums[0] * TILE);
#pragma GCC unroll 8
                            for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
                                for (int q = 0; q < VECTORS; q++, sum++)
                                    if (first)
                                        *sum = tile[r][q];
                                    else
                                        *sum += tile[r][q];
                        }
                    }
                    for (int i = 0; i < g[5]; i++, at += 7) {
                        if (!within(at + 3, y, x, ROWS))
                            continue;
                        const int what = at[1];
                        const vector *sum = (const vector *)(l->sums + at[0] * TILE);
                        const vector *bias = (const vector *)(l->bias + plane * WIDE);
                        vector *out = (vector *)(l->output + at[2] + plane * l->plane + position * WIDE);
                        for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
                            for (int q = 0; q < VECTORS; q++, sum++, out++) {
                                vector value = *sum;
                                if (!(what & STORE))
                                    value = LARGER(value, *out);
                                if (what & BIAS)
                                    value += bias[q];
                                if (what & RELU)
                                    value = LARGER(value, (vector){0});
                                *out = value;
                            }
                    }
                }
    }
}

#undef LAYER
#undef TARGET
#undef ROWS
#undef VECTORS
#endif
