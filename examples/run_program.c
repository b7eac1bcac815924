/* run_program.c - runs a program that was saved from Python, without Python.
 *
 *     make c-example
 *     build/run_program network.pg input.bin ...  > output.bin
 *
 * network.pg is what `compiled.save("network.pg")` wrote. Each further file holds one input: its elements, dense and
 * row-major, as `x.numpy().tofile("input.bin")` writes them. The results' elements go to standard output. PG_BLAS, if
 * it is set, names a BLAS for matrix products, e.g. /usr/lib/x86_64-linux-gnu/libopenblas.so.0. */
#include "pequegrad.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void stop_if(int failed, const char *format, ...)
{
    if (!failed) return;
    va_list arguments;
    va_start(arguments, format);
    fputs("run_program: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static void check(pg_status status) { stop_if(status != PG_OK, "%s", pg_last_error()); }

static size_t bytes_of(const pg_array_info *info)
{
    static const size_t sizes[PG_DTYPE_COUNT] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8, 8, 16};
    size_t bytes = sizes[info->dtype];
    for (int32_t i = 0; i < info->ndim; i++)
        bytes *= (size_t)info->shape[i];
    return bytes;
}

static void *new_memory(size_t bytes)
{
    void *data = malloc(bytes ? bytes : 1);
    stop_if(!data, "no memory");
    return data;
}

static pg_array *read_input(pg_device *device, const pg_program *program, int64_t k,
                            const char *path)
{
    pg_array_info info;
    check(pg_program_input(program, k, &info));
    size_t bytes = bytes_of(&info);
    char *data = new_memory(bytes + 1);
    FILE *file = fopen(path, "rb");
    stop_if(!file, "%s cannot be opened", path);
    stop_if(fread(data, 1, bytes + 1, file) != bytes, "%s must have %zu bytes, as input %lld has",
            path, bytes, (long long)k);
    fclose(file);
    pg_array *array;
    check(pg_array_from_host(device, info.dtype, info.ndim, info.shape, data, &array));
    free(data);
    return array;
}

static void write_output(const pg_array *array)
{
    pg_array_info info;
    pg_array_describe(array, &info);
    size_t bytes = bytes_of(&info);
    void *data = new_memory(bytes);
    check(pg_array_to_host(array, data, (int64_t)bytes));
    stop_if(fwrite(data, 1, bytes, stdout) != bytes, "the output cannot be written");
    free(data);
}

int main(int argc, char **argv)
{
    stop_if(argc < 2, "usage: run_program network.pg input.bin ... > output.bin");
    stop_if(pg_abi_version() != PG_ABI_VERSION, "the library has another version than the header");
    const char *blas = getenv("PG_BLAS");
    if (blas) check(pg_cpu_load_blas(blas));

    pg_device *device;
    pg_program *program;
    pg_program_info info;
    check(pg_device_open("cpu", 0, &device));
    check(pg_program_load(device, argv[1], &program));
    pg_program_describe(program, &info);
    stop_if(info.n_inputs != argc - 2, "%s takes %lld inputs, not %d", argv[1],
            (long long)info.n_inputs, argc - 2);

    pg_array **inputs = new_memory((size_t)info.n_inputs * sizeof *inputs);
    pg_array **outputs = new_memory((size_t)info.n_outputs * sizeof *outputs);
    for (int64_t k = 0; k < info.n_inputs; k++)
        inputs[k] = read_input(device, program, k, argv[2 + k]);
    check(pg_program_run(program, inputs, outputs));
    for (int64_t k = 0; k < info.n_outputs; k++)
        write_output(outputs[k]);

    pg_arrays_release(inputs, info.n_inputs);
    pg_arrays_release(outputs, info.n_outputs);
    free(inputs);
    free(outputs);
    pg_program_destroy(program);
    return 0;
}
